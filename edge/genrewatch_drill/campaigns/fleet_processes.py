"""The processes of a fleet: how they are started, what they use, and how they end."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrewatch.contract.decode import encode
from genrewatch.contract.errors import SourceError
from genrewatch_drill.campaigns.fleet_node import FleetSetting
from genrewatch_drill.rig.exchange import Exchange
from genrewatch_drill.rig.proc import cpu_s, footprint
from genrewatch_drill.rig.sounds import Sounds

EACH = 25
"""Nodes in a process."""
END_S = 120.0
TELL_S = 15.0


class Fleet:
    """All nodes, listening."""

    def __init__(self, directory: Path, url: str, count: int, *, health_s: float) -> None:
        """Starts them and waits until all listen; each says its health so often."""
        self.names = [f"node{number:03}" for number in range(count)]
        self._state = directory / "state"
        sound = Sounds(directory / "sounds").medley_file(0)
        self._processes: list[subprocess.Popen[str]] = []
        for start in range(0, count, EACH):
            nodes = tuple(self.names[start : start + EACH])
            setting = FleetSetting(url=url, sound=str(sound), nodes=nodes, state=str(self._state), health_s=health_s)
            self._processes.append(_process(directory, start // EACH, setting))
        for process in self._processes:
            assert process.stdout
            if process.stdout.readline().strip() != "listening":
                self.kill()
                raise SourceError("the fleet", f"does not start, see {directory}", "processes that listen")

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [process.pid for process in self._processes]

    def state(self, name: str) -> Path:
        """The state directory of a node."""
        return self._state / name

    def end(self) -> dict[str, dict[str, Any]]:
        """Ends all nodes; what each of them heard."""
        heard: dict[str, dict[str, Any]] = {}
        with ThreadPoolExecutor(len(self._processes)) as pool:
            for output, _ in pool.map(lambda process: process.communicate("\n", timeout=END_S), self._processes):
                heard |= {line["node"]: line for line in map(json.loads, output.splitlines())}
        return heard

    def kill(self) -> None:
        """Whatever still runs."""
        for process in self._processes:
            process.kill()
            process.wait()


@dataclass(kw_only=True)
class Load:
    """What fleet and broker used, while both were there."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    broker_cpu_s: float = 0.0
    rss_mb: float = 0.0
    """At most, all processes together."""
    broker_rss_mb: float = 0.0


def watch(fleet: Fleet, exchange: Exchange, until: float, load: Load, tell: Callable[[str], None]) -> None:
    """Waits, and adds to `load` what is used meanwhile."""
    broker, start = exchange.pid, time.monotonic()
    before = sum(map(cpu_s, fleet.pids)), cpu_s(broker) if broker else 0.0
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, TELL_S))
        tell(f"  {len(exchange.collector.receipts)} records received, the broker is {'there' if broker else 'dead'}")
    load.rss_mb = max(load.rss_mb, sum(footprint(pid).rss_mb for pid in fleet.pids))
    if broker:
        load.seconds += time.monotonic() - start
        load.cpu_s += sum(map(cpu_s, fleet.pids)) - before[0]
        load.broker_cpu_s += cpu_s(broker) - before[1]
        load.broker_rss_mb = max(load.broker_rss_mb, footprint(broker).rss_mb)


def _process(directory: Path, number: int, setting: FleetSetting) -> subprocess.Popen[str]:
    path = directory / f"fleet-{number}.json"
    path.write_text(json.dumps(encode(setting)))
    with (directory / f"fleet-{number}.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "genrewatch_drill.campaigns.fleet_node", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

"""The processes of a fleet: start, stop, and the load that they cause."""

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
from genrewatch.contract.errors import GenrewatchError
from genrewatch_drill.campaigns.fleet_node import FleetConfig
from genrewatch_drill.rig.killable_broker import KillableBroker
from genrewatch_drill.rig.processes import cpu_s, footprint
from genrewatch_drill.rig.sounds import Sounds

NODES_PER_PROCESS = 25
STOP_S = 120.0
PROGRESS_S = 15.0


class Fleet:
    """All nodes of the fleet."""

    def __init__(self, directory: Path, url: str, count: int, *, health_s: float) -> None:
        """Start the nodes and wait until all listen; each publishes its health every `health_s` seconds."""
        self.names = [f"node{number:03}" for number in range(count)]
        self._state = directory / "state"
        sound = Sounds(directory / "sounds").medley_file(0)
        self._processes: list[subprocess.Popen[str]] = []
        for start in range(0, count, NODES_PER_PROCESS):
            nodes = tuple(self.names[start : start + NODES_PER_PROCESS])
            config = FleetConfig(url=url, sound=str(sound), nodes=nodes, state=str(self._state), health_s=health_s)
            self._processes.append(_process(directory, start // NODES_PER_PROCESS, config))
        for process in self._processes:
            assert process.stdout
            if process.stdout.readline().strip() != "listening":
                self.kill()
                raise GenrewatchError("the fleet", f"does not start, see {directory}", "processes that listen")

    @property
    def pids(self) -> list[int]:
        """The process ids."""
        return [process.pid for process in self._processes]

    def state(self, name: str) -> Path:
        """Return the state directory of a node."""
        return self._state / name

    def stop(self) -> dict[str, dict[str, Any]]:
        """Stop all nodes; return by node the duration that it received."""
        durations: dict[str, dict[str, Any]] = {}
        with ThreadPoolExecutor(len(self._processes)) as pool:
            for output, _ in pool.map(lambda process: process.communicate("\n", timeout=STOP_S), self._processes):
                durations |= {line["node"]: line for line in map(json.loads, output.splitlines())}
        return durations

    def kill(self) -> None:
        """Send SIGKILL to all processes."""
        for process in self._processes:
            process.kill()
            process.wait()


@dataclass(kw_only=True)
class Load:
    """Resources used by fleet and broker while both run."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    broker_cpu_s: float = 0.0
    rss_mb: float = 0.0
    """The peak of all processes together."""
    broker_rss_mb: float = 0.0


def watch(fleet: Fleet, killable: KillableBroker, until: float, load: Load, on_progress: Callable[[str], None]) -> None:
    """Wait, and add the resources used meanwhile to `load`."""
    broker, start = killable.pid, time.monotonic()
    before = sum(map(cpu_s, fleet.pids)), cpu_s(broker) if broker else 0.0
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, PROGRESS_S))
        state = "running" if broker else "dead"
        on_progress(f"  {len(killable.collector.records)} records received, the broker is {state}")
    load.rss_mb = max(load.rss_mb, sum(footprint(pid).rss_mb for pid in fleet.pids))
    if broker:
        load.seconds += time.monotonic() - start
        load.cpu_s += sum(map(cpu_s, fleet.pids)) - before[0]
        load.broker_cpu_s += cpu_s(broker) - before[1]
        load.broker_rss_mb = max(load.broker_rss_mb, footprint(broker).rss_mb)


def _process(directory: Path, number: int, config: FleetConfig) -> subprocess.Popen[str]:
    path = directory / f"fleet-{number}.json"
    path.write_text(json.dumps(encode(config)))
    with (directory / f"fleet-{number}.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "genrewatch_drill.campaigns.fleet_node", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

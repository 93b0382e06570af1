"""The daemon of one fault of disk or clock, with players that keep a tally of what they write.

The sources end at the drill's request and the daemon with them; everything written must then be in its records.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genrewatch_drill.campaigns.outage_checks import kept_s
from genrewatch_drill.fakes import CLOCK
from genrewatch_drill.rig.audit import audit
from genrewatch_drill.rig.daemon import NODE, DaemonConfig, DaemonProcess
from genrewatch_drill.rig.delivery import deliver_outbox
from genrewatch_drill.rig.killable_broker import KillableBroker
from genrewatch_drill.rig.player import command_uri, player_command, read_tally
from genrewatch_drill.rig.results import CheckFailed
from genrewatch_drill.rig.snapshot import snapshot
from genrewatch_drill.rig.sounds import RATE, Sounds

SOURCES = 2
SPEED = 10.0
TIMEOUT_S, EXIT_S = 60.0, 60.0
FEWEST_STATES = 3
TOLERANCE_S = 1.0


class MountDenied(Exception):
    """This user may not mount file systems here."""


class DiskDaemon:
    """Starts daemons one after the other with the same state directory."""

    def __init__(self, directory: Path, broker: KillableBroker) -> None:
        self._directory, self._broker = directory, broker
        self.clock = directory / "clock"
        """The file of `set_clock`."""
        self.state = directory / "daemon" / "state"
        self.state.mkdir(parents=True)
        self._sounds = Sounds(directory / "sounds")
        self.names = [f"player{number}" for number in range(SOURCES)]
        self._starts = 0

    @contextmanager
    def running(self) -> Iterator[DaemonProcess]:
        """Run a daemon; at the end its sources end, and it must then exit by itself."""
        self._starts += 1
        end_file = self._directory / f"end-{self._starts}"
        config = DaemonConfig(
            sources=[self._table(name, end_file) for name in self.names],
            vote={"segments": 1},
            mqtt={"votes": False},
            history={"save_s": 0.5, "backfill_per_s": 200},
            environment=fake_clock(self.clock),
        )
        with DaemonProcess(self._directory / "daemon", config, url=self._broker.url) as daemon:
            daemon.wait_until_listening()
            yield daemon
            end_file.touch()
            ended = daemon.wait_for_exit(EXIT_S)
            if ended.code != 0:
                raise CheckFailed(f"exit code {ended.code}: {daemon.last_line}")
            if any("Traceback" in line for line in daemon.stderr_lines):
                raise CheckFailed("a traceback")

    def wait_health(self, when: str, test: Callable[[Mapping[str, Any]], bool], since: float) -> Mapping[str, Any]:
        """Wait for the first health since a time that passes a test; CheckFailed, quoting `when`, when none comes."""
        collector, deadline = self._broker.collector, time.monotonic() + TIMEOUT_S
        with collector.received:
            while (left := deadline - time.monotonic()) > 0:
                for message in collector.messages:
                    if message.kind == "health" and message.at >= since and test(message.body):
                        return message.body
                collector.received.wait(min(left, 1.0))
        raise CheckFailed(f"{when}: no such health within {TIMEOUT_S:g} s")

    def newest_health(self, test: Callable[[Mapping[str, Any]], bool]) -> bool:
        """Return whether the newest health passes a test."""
        health = [message for message in list(self._broker.collector.messages) if message.kind == "health"]
        return bool(health) and test(health[-1].body)

    def check_states(self, since: float) -> int:
        """Count the states of all sources since a time; CheckFailed when a source has published too few."""
        messages = list(self._broker.collector.messages)
        sources = [message.source for message in messages if message.kind == "state" and message.at >= since]
        for name in self.names:
            if sources.count(name) < FEWEST_STATES:
                raise CheckFailed(f"{sources.count(name)} states of {name} meanwhile")
        return len(sources)

    def newest_seq(self) -> int:
        """Return the highest `seq` received so far."""
        return max((record.seq for record in list(self._broker.collector.records)), default=0)

    def check_all_kept(self) -> str:
        """Check that the received records hold everything written, in order and once; return a description."""
        deliver_outbox(self.state, NODE, self._broker.url)
        now, received = snapshot(self.state, NODE), self._broker.collector.records
        texts = {record.seq: record.text for record in received}
        if now.problem:
            raise CheckFailed(f"the database afterwards: {now.problem}")
        if absent := len(now.texts.keys() - texts.keys()):
            raise CheckFailed(f"{absent} records were stored and not received")
        found = audit({**texts, **now.texts}, received, set())
        if found.renumbered or found.contradictions or found.disorder or found.holes:
            raise CheckFailed(", ".join(found.problems))
        sums = kept_s(texts.values())
        for name in self.names:
            written_s = self._written_s(name)
            if abs(sums.get(name, 0.0) - written_s) > TOLERANCE_S:
                raise CheckFailed(f"{written_s:.1f} s of {name} were written, {sums.get(name, 0.0):.1f} s are kept")
        return f"{len(texts)} records, all received"

    def clock_steps_s(self) -> list[float]:
        """Return the steps of the wall clock in the records, seconds."""
        return [json.loads(record.text)["clock_step_s"] for record in self._broker.collector.records]

    def _written_s(self, name: str) -> float:
        return sum(written_s for _, written_s in read_tally(self._directory / f"{name}.tally"))

    def _table(self, name: str, end_file: Path) -> dict[str, Any]:
        sound = self._sounds.medley_file(self.names.index(name))
        script = f"tally={self._directory / name}.tally fast={SPEED:g} until={end_file} die"
        command = player_command(self._directory / f"{name}.journal", sound, script)
        return {"id": name, "uri": command_uri(command, f"rate={RATE}&restart=never")}


@contextmanager
def small_disk(directory: Path, *, mb: int) -> Iterator[None]:
    """Mount a file system in memory at an empty directory; MountDenied where that is not allowed."""
    mount(["-t", "tmpfs", "-o", f"size={mb}m", "tmpfs", str(directory)])
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=False, capture_output=True)


def mount(arguments: list[str]) -> None:
    """Call mount; MountDenied when it fails."""
    try:
        subprocess.run(["mount", *arguments], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise MountDenied("mount is not installed") from None
    except subprocess.CalledProcessError as exc:
        raise MountDenied(exc.stderr.strip() or "mount is not allowed") from None


def reports_history(health: Mapping[str, Any]) -> bool:
    """Return whether health reports a problem of the history."""
    return any("history" in problem for problem in health["degraded"])


def reports_set_aside(health: Mapping[str, Any]) -> bool:
    """Return whether health reports that a damaged database was set aside."""
    return bool(health["history"]["set_aside"])


def fake_clock(file: Path) -> dict[str, str]:
    """Return the variables of a daemon whose wall clock follows a file."""
    set_clock(file, 0)
    return {"PYTHONPATH": str(CLOCK), "FAKE_CLOCK": str(file)}


def set_clock(file: Path, ahead_s: int) -> None:
    """Set the fake clock `ahead_s` seconds ahead of the real one."""
    temporary = file.with_name(f"{file.name}.new")
    temporary.write_text(f"{ahead_s}")
    temporary.replace(file)

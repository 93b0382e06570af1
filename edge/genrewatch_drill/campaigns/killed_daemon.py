"""A daemon that is killed again and again: its sources, the moment of each kill, and the sound of each lifetime.

Its sources are players that write faster than real time, so that the genre changes every few seconds. One plays
silence, so that its spell lasts as long as the daemon. Each keeps a tally of the seconds written, for comparison with
the history.
"""

import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genrewatch.history.database import database_path
from genrewatch_drill.rig.collector import Collector
from genrewatch_drill.rig.daemon import NODE, DaemonConfig, DaemonProcess
from genrewatch_drill.rig.player import command_uri, player_command, read_tally
from genrewatch_drill.rig.processes import describe_process
from genrewatch_drill.rig.sounds import Sounds

Moment = Literal["start", "any", "save", "delivery", "late"]
MOMENTS: tuple[Moment, ...] = ("start", "any", "save", "delivery", "late")
WEIGHTS = (15, 33, 22, 22, 8)
LONGEST_S = 2.5
"""The longest time that a daemon listens before its kill or before the wait for a save or a delivery."""
LATE_S = 6.5
"""The same for the moment `late`, longer than the largest permitted loss."""
AWAIT_S = 3.0
SAVE_S = 0.5
SPEED = 20.0
SILENT = "silence"
"""The source that plays silence."""


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """One process of the daemon; times are on the monotonic clock."""

    started: float
    ended: float
    orphans: Sequence[str] = ()
    """Descriptions of the processes that outlived it."""
    tracebacks: int = 0


class KilledDaemon:
    """Starts daemons one after the other with the same state directory."""

    def __init__(self, directory: Path, sounds: Sounds, url: str, *, sources: int) -> None:
        self._directory, self._sounds, self._url = directory, sounds, url
        self.names = [*(f"player{number}" for number in range(sources - 1)), SILENT]
        self.lifetimes: list[Lifetime] = []

    @property
    def state(self) -> Path:
        """The state directory."""
        return self._directory / "state"

    def start(self, *, silent: bool = False) -> DaemonProcess:
        """Start a daemon; with `silent` all its sources play silence, so that no spell ends."""
        sources = [self._silent(name) if silent else self._player(name, seed) for seed, name in enumerate(self.names)]
        config = DaemonConfig(
            sources=sources,
            vote={"segments": 1},
            mqtt={"votes": False},
            history={"save_s": SAVE_S, "backfill_per_s": 200},
            every_second=False,
        )
        return DaemonProcess(self._directory, config, url=self._url)

    def on_ended(self, daemon: DaemonProcess, orphans: Sequence[int]) -> None:
        """Close a daemon that has ended and note its lifetime."""
        tracebacks = sum("Traceback" in line for line in daemon.stderr_lines)
        descriptions = [describe_process(pid) for pid in orphans]
        self.lifetimes.append(
            Lifetime(started=daemon.started, ended=time.monotonic(), orphans=descriptions, tracebacks=tracebacks)
        )
        daemon.close()

    def written_s(self, source: str, lifetime: Lifetime) -> float:
        """Return the seconds of sound that the players of a source wrote in a lifetime."""
        tally = read_tally(self._directory / f"{source}.tally")
        return sum(written_s for started, written_s in tally if lifetime.started <= started <= lifetime.ended)

    def _player(self, name: str, seed: int) -> dict[str, Any]:
        script = f"tally={self._directory / name}.tally fast={SPEED:g} play"
        sound = self._sounds.silence if name == SILENT else self._sounds.medley_file(seed)
        return self._table(name, sound, script)

    def _silent(self, name: str) -> dict[str, Any]:
        return self._table(f"{name}-silent", self._sounds.silence, "play")

    def _table(self, name: str, sound: Path, script: str) -> dict[str, Any]:
        command = player_command(self._directory / f"{name}.journal", sound, script)
        return {"id": name, "uri": command_uri(command)}


def wait_for_moment(
    moment: Moment, daemon: DaemonProcess, state: Path, collector: Collector, rng: random.Random, start_s: float
) -> None:
    """Wait for the moment of a kill; `start_s` is the time that a daemon needs to start."""
    if moment == "start":
        time.sleep(rng.uniform(0, start_s))
        return
    listens_s = LATE_S if moment == "late" else rng.uniform(0, LONGEST_S)
    time.sleep(max(0.0, daemon.started + start_s - time.monotonic()) + listens_s)
    if moment == "save":
        _wait_for_save(state)
    elif moment == "delivery":
        with collector.received:
            count = len(collector.records)
            collector.received.wait_for(lambda: len(collector.records) > count, AWAIT_S)
    if moment in ("save", "delivery"):
        time.sleep(rng.choice((0.0, 0.0, 0.001, 0.003, 0.01)))


def _wait_for_save(state: Path) -> None:
    deadline = time.monotonic() + AWAIT_S
    path = database_path(state, NODE)
    wal = path.with_name(path.name + "-wal")
    before = _version(wal)
    while _version(wal) == before and time.monotonic() < deadline:
        time.sleep(0.0005)


def _version(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size

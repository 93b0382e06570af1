"""`genrewatch drill --soak HOURS`: hours of sound at full speed with a fault every few minutes; nothing may grow.

A real daemon with four real child processes. Each classified segment permits its child to write the sound of the next
one, so that minutes show the growth of memory, threads, descriptors or zombies that a day would show.
"""

import math
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genrewatch import programme
from genrewatch.daemon.config import ListenConfig
from genrewatch.inference.pipeline import Pipeline, open_pipeline
from genrewatch_drill.fakes import SOAKER
from genrewatch_drill.rig.daemon import DaemonConfig, DaemonProcess
from genrewatch_drill.rig.messages import Message, MessageLog
from genrewatch_drill.rig.processes import Footprint, footprint
from genrewatch_drill.rig.sounds import RATE, s16

SOURCES = 4
FAULT_EVERY_S, FEWEST_FAULTS = 240.0, 4
"""Mean seconds of a source's sound between faults, and the faults of a source in a short soak."""
SHORTEST_LIFETIME_S = 100.0
"""Shortest lifetime of a child, long enough to reset the backoff of its restart."""
SETTLE_H = 1.0
STALL_S = 1.0
GROWTH_MB = 5.0
SPARE_DESCRIPTORS = 4
READING_S = 0.25
HANG_S = 120.0
"""Seconds without a segment after which the soak fails."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The state of the soak at one time."""

    sound_h: float
    """Hours of sound classified, all sources together."""
    wall_s: float
    faults: int
    footprint: Footprint


@dataclass(frozen=True, kw_only=True)
class SoakResult:
    """The result of the soak."""

    readings: list[Reading]
    problems: list[str]
    exit_s: float
    """Seconds from SIGTERM to the end of the daemon."""


class _CreditingLog(MessageLog):
    """Writes a child's credit for each of its segments, and keeps only their count."""

    def __init__(self, credits: dict[str, int]) -> None:
        super().__init__()
        self._credits, self.segments, self._lock = credits, 0, threading.Lock()
        self.queue_lost_s = 0.0

    def add(self, message: Message) -> None:
        """Write the credit of a segment; keep any other message but states."""
        if message.kind == "segment":
            with self._lock:
                self.segments += 1
            os.write(self._credits[message.source], b".")
        elif message.kind == "health":
            self.queue_lost_s = sum(source["lost"].get("queue", 0.0) for source in message.body["sources"].values())
        elif message.kind != "state":
            super().add(message)


class _Sources:
    """The sources of the soak with a FIFO of credits for each; a context manager that closes the FIFOs."""

    def __init__(self, directory: Path, pipeline: Pipeline, hours: float) -> None:
        sound = directory / "programme.s16"
        sound.write_bytes(s16(np.concatenate(list(programme.programme_blocks()))))
        lifetime_s = max(SHORTEST_LIFETIME_S, min(FAULT_EVERY_S, 3600 * hours / SOURCES / FEWEST_FAULTS))
        self.hop_s = pipeline.vote.segment_hop / pipeline.manifest.front_end.sample_rate
        numbers = [2 * RATE, lifetime_s, pipeline.manifest.front_end.segment_s, self.hop_s]
        self.tables: list[dict[str, object]] = []
        self.credits: dict[str, int] = {}
        """The descriptor of each source's FIFO."""
        for name in (f"soak{number}" for number in range(SOURCES)):
            path = directory / f"{name}.credits"
            os.mkfifo(path)
            self.credits[name] = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            files = [path, directory / f"{name}.starts", sound]
            command = [sys.executable, "-I", "-S", str(SOAKER), *map(str, files), *map(str, numbers)]
            self.tables.append({"id": name, "uri": f"cmd:{shlex.join(command)}", "stall_s": STALL_S})

    def __enter__(self) -> "_Sources":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self.credits.values():
            os.close(descriptor)


def soak(directory: Path, hours: float, *, on_reading: Callable[[Reading], None] = lambda reading: None) -> SoakResult:
    """Run until `hours` of sound are classified; memory is compared with that of the first hour."""
    config = ListenConfig()
    pipeline = open_pipeline(config.bundle_path, config.vote.apply, config.level)
    with _Sources(directory, pipeline, hours) as sources:
        messages = _CreditingLog(sources.credits)
        with DaemonProcess(directory / "daemon", DaemonConfig(sources=sources.tables), messages=messages) as daemon:
            daemon.wait_until_listening()
            readings = _watch(daemon, messages, directory, hours, sources.hop_s, on_reading)
            ended = daemon.stop()
    problems = growth_problems(readings, hours)
    if ended.code != 0:
        problems.append(f"exit code {ended.code}")
    if ended.orphans:
        problems.append(f"{len(ended.orphans)} processes outlive the daemon")
    if messages.queue_lost_s:
        problems.append(f"{messages.queue_lost_s:.1f} s dropped by a queue though every child waits")
    problems += [line for line in daemon.stderr_lines if "Traceback" in line]
    return SoakResult(readings=readings, problems=problems, exit_s=ended.seconds)


def _watch(
    daemon: DaemonProcess,
    messages: _CreditingLog,
    directory: Path,
    hours: float,
    hop_s: float,
    on_reading: Callable[[Reading], None],
) -> list[Reading]:
    """Take a reading every `READING_S`; report one for each twenty-fourth of the whole."""
    readings: list[Reading] = []
    reported, moved = 0, (0, time.monotonic())
    while not readings or readings[-1].sound_h < hours:
        time.sleep(READING_S)
        if daemon.process.poll() is not None:
            break
        now = Reading(
            sound_h=messages.segments * hop_s / 3600,
            wall_s=time.monotonic() - daemon.started,
            faults=sum(max(0, path.stat().st_size - 1) for path in directory.glob("*.starts")),
            footprint=footprint(daemon.process.pid),
        )
        readings.append(now)
        if messages.segments != moved[0]:
            moved = (messages.segments, time.monotonic())
        elif time.monotonic() - moved[1] > HANG_S:
            break
        if math.floor(24 * now.sound_h / hours) > reported:
            reported = math.floor(24 * now.sound_h / hours)
            on_reading(now)
    return readings


def growth_problems(readings: list[Reading], hours: float) -> list[str]:
    """Compare the second half of the readings with the first; return what has grown."""
    if not readings or readings[-1].sound_h < hours:
        return ["the daemon ended or stopped classifying too early"]
    problems = []
    first = [reading.footprint for reading in readings if reading.sound_h <= hours / 2]
    second = [reading.footprint for reading in readings if reading.sound_h > hours / 2]
    early = [reading.footprint.rss_mb for reading in readings if reading.sound_h <= SETTLE_H]
    later = [reading.footprint.rss_mb for reading in readings if reading.sound_h > SETTLE_H]
    if early and later and max(later) - max(early) > GROWTH_MB:
        problems.append(f"memory grew by {max(later) - max(early):.1f} MB after {SETTLE_H:g} h")
    if (threads := _grown(first, second, lambda now: now.threads)) > SOURCES:
        problems.append(f"{threads} more threads with as many children")
    if (held := _grown(first, second, lambda now: now.descriptors)) > SPARE_DESCRIPTORS:
        problems.append(f"{held} more descriptors with as many children")
    if (alive := max(now.children for now in second)) > SOURCES:
        problems.append(f"{alive} children at once")
    if (zombies := min(now.zombies for now in second[-20:])) > 0:
        problems.append(f"{zombies} zombies")
    return problems


def _grown(first: list[Footprint], second: list[Footprint], count: Callable[[Footprint], int]) -> int:
    """Return the growth of a count between readings with equally many children, because each child needs some.

    A child that is starting or ending needs more for a moment, so the smallest counts are compared.
    """

    def fewest(readings: list[Footprint]) -> dict[int, int]:
        found: dict[int, int] = {}
        for now in readings:
            found[now.children] = min(count(now), found.get(now.children, count(now)))
        return found

    before, after = fewest(first), fewest(second)
    return min((after[n] - before[n] for n in before.keys() & after.keys()), default=0)

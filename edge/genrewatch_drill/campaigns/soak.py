"""The soak: hours of sound through the live path at full speed, a fault every few minutes of it, and nothing may grow.

Real daemon, real children, four of them; each writes as much as is listened to, since every classified segment earns
it the sound of the next. What a day would show in memory, threads, descriptors or zombies shows here in minutes.
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
from genrewatch.inference.pipeline import open_pipeline
from genrewatch_drill.fakes import SOAKER
from genrewatch_drill.rig.proc import Footprint, footprint
from genrewatch_drill.rig.record import Record, Said
from genrewatch_drill.rig.sounds import RATE, s16
from genrewatch_drill.rig.subject import Setting, Subject

SOURCES = 4
FAULT_EVERY_S, FEWEST_FAULTS = 240.0, 4  # of a source's sound, and for a short soak; somewhat random
SHORTEST_LIFE_S = 100.0  # longer than after which the pauses between lives are short again
SETTLE_H = 1.0
STALL_S = 1.0
GROWTH_MB = 5.0
SPARE_DESCRIPTORS = 4
EVERY_S = 0.25
HANG_S = 120.0  # without any sound


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Where the soak is at one time."""

    heard_h: float
    """Hours of sound classified, all sources together."""
    wall_s: float
    faults: int
    footprint: Footprint


@dataclass(frozen=True, kw_only=True)
class SoakResult:
    """What the soak has shown."""

    readings: list[Reading]
    wrong: list[str]
    """What was not as it must be."""
    farewell_s: float


class _Credited(Record):
    """Gives a child the credit for its next segment; keeps no more than a count."""

    def __init__(self, credits: dict[str, int]) -> None:
        super().__init__()
        self._credits, self.segments, self._lock = credits, 0, threading.Lock()
        self.queue_lost_s = 0.0

    def add(self, said: Said) -> None:
        """See `Record`."""
        if said.kind == "segment":
            with self._lock:
                self.segments += 1
            os.write(self._credits[said.source], b".")
        elif said.kind == "health":
            self.queue_lost_s = sum(source["lost"].get("queue", 0.0) for source in said.body["sources"].values())
        elif said.kind != "state":
            super().add(said)


def soak(directory: Path, hours: float, *, tell: Callable[[Reading], None] = lambda reading: None) -> SoakResult:
    """Runs until so many hours of sound were classified; memory is judged from the end of the first hour on."""
    config = ListenConfig()
    pipeline = open_pipeline(config.bundle_path, config.vote.apply, config.level)
    hop_s = pipeline.vote.segment_hop / pipeline.manifest.front_end.sample_rate
    sound = directory / "programme.s16"
    sound.write_bytes(s16(np.concatenate(list(programme.programme_blocks()))))
    life_s = max(SHORTEST_LIFE_S, min(FAULT_EVERY_S, 3600 * hours / SOURCES / FEWEST_FAULTS))
    tables, credits = [], {}
    for name in (f"soak{number}" for number in range(SOURCES)):
        path = directory / f"{name}.credits"
        os.mkfifo(path)
        credits[name] = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        words = [sys.executable, "-I", "-S", str(SOAKER), str(path), str(directory / f"{name}.lives"), str(sound)]
        words += [str(2 * RATE), f"{life_s}", f"{pipeline.manifest.front_end.segment_s}", f"{hop_s}"]
        tables.append({"id": name, "uri": f"cmd:{shlex.join(words)}", "stall_s": STALL_S})
    record = _Credited(credits)
    try:
        with Subject(directory / "daemon", Setting(sources=tables), record=record) as subject:
            subject.until_listening()
            readings = _watch(subject, record, directory, hours, hop_s, tell)
            farewell = subject.end()
    finally:
        for descriptor in credits.values():
            os.close(descriptor)
    wrong = _wrong(readings, hours)
    if farewell.code != 0:
        wrong.append(f"exit code {farewell.code}")
    if farewell.left:
        wrong.append(f"{len(farewell.left)} processes outlive the daemon")
    if record.queue_lost_s:
        wrong.append(f"{record.queue_lost_s:.1f} s dropped by a queue though every child waits")
    wrong += [line for line in subject.complained if "Traceback" in line]
    return SoakResult(readings=readings, wrong=wrong, farewell_s=farewell.seconds)


def _watch(
    subject: Subject, record: _Credited, directory: Path, hours: float, hop_s: float, tell: Callable[[Reading], None]
) -> list[Reading]:
    """A reading every quarter of a second; tells one for each twenty-fourth of the whole."""
    readings: list[Reading] = []
    told, moved = 0, (0, time.monotonic())
    while not readings or readings[-1].heard_h < hours:
        time.sleep(EVERY_S)
        if subject.process.poll() is not None:
            break
        now = Reading(
            heard_h=record.segments * hop_s / 3600,
            wall_s=time.monotonic() - subject.started,
            faults=sum(max(0, path.stat().st_size - 1) for path in directory.glob("*.lives")),
            footprint=footprint(subject.process.pid),
        )
        readings.append(now)
        if record.segments != moved[0]:
            moved = (record.segments, time.monotonic())
        elif time.monotonic() - moved[1] > HANG_S:
            break
        if math.floor(24 * now.heard_h / hours) > told:
            told = math.floor(24 * now.heard_h / hours)
            tell(now)
    return readings


def _wrong(readings: list[Reading], hours: float) -> list[str]:
    if not readings or readings[-1].heard_h < hours:
        return ["the daemon ended or fell silent before its time"]
    wrong = []
    first = [reading.footprint for reading in readings if reading.heard_h <= hours / 2]
    second = [reading.footprint for reading in readings if reading.heard_h > hours / 2]
    early = [reading.footprint.rss_mb for reading in readings if reading.heard_h <= SETTLE_H]
    later = [reading.footprint.rss_mb for reading in readings if reading.heard_h > SETTLE_H]
    if early and later and max(later) - max(early) > GROWTH_MB:
        wrong.append(f"memory grew by {max(later) - max(early):.1f} MB after {SETTLE_H:g} h")
    if (threads := _grown(first, second, lambda now: now.threads)) > SOURCES:
        wrong.append(f"{threads} more threads with as many children")
    if (held := _grown(first, second, lambda now: now.descriptors)) > SPARE_DESCRIPTORS:
        wrong.append(f"{held} more descriptors with as many children")
    if (alive := max(now.children for now in second)) > SOURCES:
        wrong.append(f"{alive} children at once")
    if (zombies := min(now.zombies for now in second[-20:])) > 0:
        wrong.append(f"{zombies} zombies")
    return wrong


def _grown(first: list[Footprint], second: list[Footprint], count: Callable[[Footprint], int]) -> int:
    """By how much a count has grown between readings with equally many children: each child needs some, and a half may
    never see all of them. A child that is just coming or going needs more for a moment, so the fewest are compared.
    """

    def fewest(readings: list[Footprint]) -> dict[int, int]:
        found: dict[int, int] = {}
        for now in readings:
            found[now.children] = min(count(now), found.get(now.children, count(now)))
        return found

    before, after = fewest(first), fewest(second)
    return min((after[n] - before[n] for n in before.keys() & after.keys()), default=0)

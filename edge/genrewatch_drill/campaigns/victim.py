"""A daemon that is killed again and again: its sources, the moment of each kill, and how much sound each life was fed.

Its sources are children of their own that write faster than real time and change what they play every few seconds of
sound, but for one that plays silence, so that one spell lasts as long as the daemon. Each keeps a tally of what it has
written, against which the history is held.
"""

import os
import random
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genrewatch.history.database import database_path
from genrewatch_drill.fakes import PLAYER
from genrewatch_drill.rig.broker import NODE
from genrewatch_drill.rig.collector import Collector
from genrewatch_drill.rig.proc import words_of
from genrewatch_drill.rig.sounds import RATE, Sounds
from genrewatch_drill.rig.subject import Setting, Subject

Timestamp = Literal["start", "any", "save", "delivery", "late"]
MOMENTS: tuple[Timestamp, ...] = ("start", "any", "save", "delivery", "late")
WEIGHTS = (15, 33, 22, 22, 8)
LONGEST_S = 2.5
"""How long a daemon listens before its kill, at most; then it waits for a save or a delivery."""
LATE_S = 6.5
"""The same for a few, longer than any loss may be."""
AWAIT_S = 3.0
SAVE_S = 0.5
SPEED = 20.0
STEADY = "silence"
"""The source that plays silence."""


@dataclass(frozen=True, kw_only=True)
class Life:
    """One life of the daemon."""

    began: float
    """On the monotonic clock, as all times."""
    ended: float
    left: Sequence[str] = ()
    """Processes that outlived it, in words."""
    tracebacks: int = 0


class Victim:
    """Starts daemons with the same state, one after the other."""

    def __init__(self, directory: Path, sounds: Sounds, url: str, *, sources: int) -> None:
        self._directory, self._sounds, self._url = directory, sounds, url
        self.names = [*(f"player{number}" for number in range(sources - 1)), STEADY]
        self.lives: list[Life] = []

    @property
    def state(self) -> Path:
        """The state directory."""
        return self._directory / "state"

    def start(self, *, calm: bool = False) -> Subject:
        """A daemon; a `calm` one hears silence alone, so that no spell of it ends."""
        sources = [self._calm(name) if calm else self._player(name, seed) for seed, name in enumerate(self.names)]
        history = {"save_s": SAVE_S, "backfill_per_s": 200}
        mqtt = {"votes": False}
        vote = {"segments": 1}
        setting = Setting(sources=sources, vote=vote, mqtt=mqtt, history=history, talkative=False)
        return Subject(self._directory, setting, url=self._url)

    def ended(self, subject: Subject, left: Sequence[int]) -> Life:
        """Takes down a life that is over."""
        tracebacks = sum("Traceback" in line for line in subject.complained)
        words = [words_of(pid) for pid in left]
        self.lives.append(Life(began=subject.started, ended=time.monotonic(), left=words, tracebacks=tracebacks))
        subject.close()
        return self.lives[-1]

    def written_s(self, source: str, life: Life) -> float:
        """Seconds of sound that a source's children wrote while a daemon lived."""
        path = self._directory / f"{source}.tally"
        lines = path.read_text(errors="replace").replace("\0", " ").splitlines() if path.exists() else []
        tallies = [tuple(map(float, line.split())) for line in lines if line.strip()]
        return sum(sounded_s for started, sounded_s in tallies if life.began <= started <= life.ended)

    def _player(self, name: str, seed: int) -> dict[str, Any]:
        life = f"tally={self._directory / name}.tally fast={SPEED:g} play"
        sound = self._sounds.silence if name == STEADY else self._sounds.medley_file(seed)
        return self._table(name, sound, life)

    def _calm(self, name: str) -> dict[str, Any]:
        return self._table(f"{name}-calm", self._sounds.silence, "play")

    def _table(self, name: str, sound: Path, life: str) -> dict[str, Any]:
        words = [sys.executable, "-I", "-S", str(PLAYER), str(self._directory / f"{name}.journal"), str(sound)]
        return {"id": name, "uri": f"cmd:{shlex.join([*words, str(2 * RATE), life])}?rate={RATE}"}


def await_moment(
    moment: Timestamp, subject: Subject, state: Path, collector: Collector, rng: random.Random, start_s: float
) -> None:
    """Returns when the daemon is to be killed; `start_s` is how long it takes to start."""
    if moment == "start":
        time.sleep(rng.uniform(0, start_s))
        return
    listens_s = LATE_S if moment == "late" else rng.uniform(0, LONGEST_S)
    time.sleep(max(0.0, subject.started + start_s - time.monotonic()) + listens_s)
    deadline = time.monotonic() + AWAIT_S
    if moment == "save":
        wal = database_path(state, NODE)
        wal = wal.with_name(wal.name + "-wal")
        before = _changed(wal)
        while _changed(wal) == before and time.monotonic() < deadline:
            time.sleep(0.0005)
    elif moment == "delivery":
        with collector.news:
            count = len(collector.receipts)
            collector.news.wait_for(lambda: len(collector.receipts) > count, AWAIT_S)
    if moment in ("save", "delivery"):
        time.sleep(rng.choice((0.0, 0.0, 0.001, 0.003, 0.01)))


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size

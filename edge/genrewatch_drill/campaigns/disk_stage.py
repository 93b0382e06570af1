"""What the disk's faults are played on: a daemon of its own for each, its broker, and players that write down all.

Its sources end when they are told to, and the daemon with them; by then all that was written must be in its records.
"""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genrewatch_drill.campaigns.outage_checks import kept_s
from genrewatch_drill.fakes import CLOCK, PLAYER
from genrewatch_drill.rig.broker import NODE
from genrewatch_drill.rig.exchange import Exchange
from genrewatch_drill.rig.ledger import audit
from genrewatch_drill.rig.record import Unmet
from genrewatch_drill.rig.rest import deliver_rest
from genrewatch_drill.rig.snapshot import snapshot
from genrewatch_drill.rig.sounds import RATE, Sounds
from genrewatch_drill.rig.subject import Setting, Subject

SOURCES = 2
SPEED = 10.0
PATIENCE_S, ENDED_S = 60.0, 60.0
FEWEST_STATES = 3
TO_THE_SECOND_S = 1.0


class NoMount(Exception):
    """This user may not mount anything here."""


class DiskStage:
    """One fault's daemon; it may be started several times."""

    def __init__(self, directory: Path, exchange: Exchange) -> None:
        self._directory, self.exchange = directory, exchange
        self.clock = directory / "clock"
        """See `set_clock`."""
        self.state = directory / "daemon" / "state"
        self.state.mkdir(parents=True)
        self._sounds = Sounds(directory / "sounds")
        self.names = [f"player{number}" for number in range(SOURCES)]
        self._lives = 0

    @contextmanager
    def daemon(self) -> Iterator[Subject]:
        """A daemon that listens; in the end its sources end, and it must do so by itself."""
        self._lives += 1
        over = self._directory / f"over-{self._lives}"
        sources = [self._table(name, over) for name in self.names]
        setting = Setting(
            sources=sources,
            vote={"segments": 1},
            mqtt={"votes": False},
            history={"save_s": 0.5, "backfill_per_s": 200},
            environment=faked_clock(self.clock),
        )
        with Subject(self._directory / "daemon", setting, url=self.exchange.url) as subject:
            subject.until_listening()
            yield subject
            over.touch()
            farewell = subject.ended(ENDED_S)
            if farewell.code != 0:
                raise Unmet(f"exit code {farewell.code}: {subject.complained[-1:]}")
            if any("Traceback" in line for line in subject.complained):
                raise Unmet("a traceback")

    def until_health(self, what: str, test: Callable[[Mapping[str, Any]], bool], since: float) -> Mapping[str, Any]:
        """The first health since a time that passes a test; Unmet, with a word for `what`, when none comes."""
        collector, deadline = self.exchange.collector, time.monotonic() + PATIENCE_S
        with collector.news:
            while (left := deadline - time.monotonic()) > 0:
                for heard in collector.heard:
                    if heard.kind == "health" and heard.at >= since and test(heard.body):
                        return heard.body
                collector.news.wait(min(left, 1.0))
        raise Unmet(f"{what}: no such health within {PATIENCE_S:g} s")

    def newest_health(self, test: Callable[[Mapping[str, Any]], bool]) -> bool:
        """Whether the newest health passes a test."""
        said = [heard for heard in list(self.exchange.collector.heard) if heard.kind == "health"]
        return bool(said) and test(said[-1].body)

    def check_states(self, since: float) -> int:
        """States of all sources since a time; Unmet when one has said too few."""
        heard = [one.source for one in list(self.exchange.collector.heard) if one.kind == "state" and one.at >= since]
        for name in self.names:
            if heard.count(name) < FEWEST_STATES:
                raise Unmet(f"{heard.count(name)} states of {name} meanwhile")
        return len(heard)

    def newest_seq(self) -> int:
        """The highest that was received so far."""
        return max((receipt.seq for receipt in list(self.exchange.collector.receipts)), default=0)

    def check_all_kept(self) -> str:
        """All that was written since the first start is in records that were received, in order, once; says so."""
        deliver_rest(self.state, NODE, self.exchange.url)
        now, receipts = snapshot(self.state, NODE), self.exchange.collector.receipts
        texts = {receipt.seq: receipt.text for receipt in receipts}
        if now.wrong:
            raise Unmet(f"the database afterwards: {now.wrong}")
        if absent := len(now.texts.keys() - texts.keys()):
            raise Unmet(f"{absent} records were stored and not received")
        found = audit({**texts, **now.texts}, receipts, set())
        if found.renumbered or found.contradictions or found.disorder or found.holes:
            raise Unmet(", ".join(found.wrong))
        sums = kept_s(texts.values())
        for name in self.names:
            written_s = self._written_s(name)
            if abs(sums.get(name, 0.0) - written_s) > TO_THE_SECOND_S:
                raise Unmet(f"{written_s:.1f} s of {name} were written, {sums.get(name, 0.0):.1f} s are kept")
        return f"{len(texts)} records, all received"

    def clock_steps_s(self) -> list[float]:
        """By how much, as each record says, the wall clock was set during it; seconds."""
        return [json.loads(receipt.text)["clock_step_s"] for receipt in self.exchange.collector.receipts]

    def _written_s(self, name: str) -> float:
        lines = (self._directory / f"{name}.tally").read_text().splitlines()
        return sum(float(line.split()[1]) for line in lines)

    def _table(self, name: str, over: Path) -> dict[str, Any]:
        sound = self._sounds.medley_file(self.names.index(name))
        words = [sys.executable, "-I", "-S", str(PLAYER), str(self._directory / f"{name}.journal"), str(sound)]
        life = f"tally={self._directory / name}.tally fast={SPEED:g} until={over} die"
        uri = f"cmd:{shlex.join([*words, str(2 * RATE), life])}?rate={RATE}&restart=never"
        return {"id": name, "uri": uri}


@contextmanager
def small_disk(place: Path, *, mb: int) -> Iterator[None]:
    """A file system in memory at `place`, an empty directory; NoMount where that is not allowed."""
    mount(["-t", "tmpfs", "-o", f"size={mb}m", "tmpfs", str(place)])
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def mount(words: list[str]) -> None:
    """Calls mount; NoMount when it fails."""
    try:
        subprocess.run(["mount", *words], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise NoMount("there is no mount here") from None
    except subprocess.CalledProcessError as exc:
        raise NoMount(exc.stderr.strip() or "mount is not allowed") from None


def says_history(health: Mapping[str, Any]) -> bool:
    """Whether a health says that the history does not work."""
    return any("history" in trouble for trouble in health["degraded"])


def set_aside(health: Mapping[str, Any]) -> bool:
    """Whether a health says that a damaged database was set aside."""
    return bool(health["history"]["set_aside"])


def faked_clock(file: Path) -> dict[str, str]:
    """Variables for a daemon whose wall clock is set through a file."""
    set_clock(file, 0)
    return {"PYTHONPATH": str(CLOCK), "FAKE_CLOCK": str(file)}


def set_clock(file: Path, ahead_s: int) -> None:
    """Sets it so far ahead of ours."""
    beside = file.with_name(f"{file.name}.new")
    beside.write_text(f"{ahead_s}")
    beside.replace(file)

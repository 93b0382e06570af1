"""`genrewatch drill --disk`: a full disk, a read-only one, a damaged database, a clock that is set.

In each case the states go on, health says what is wrong, it mends without a restart, and nothing is missing after it.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genrewatch.contract.errors import SourceError
from genrewatch.history.database import database_path
from genrewatch_drill.campaigns.disk_stage import (
    DiskStage,
    NoMount,
    mount,
    says_history,
    set_aside,
    set_clock,
    small_disk,
)
from genrewatch_drill.faults.runner import Result
from genrewatch_drill.faults.stage import Outcome
from genrewatch_drill.rig.broker import NODE, find_program
from genrewatch_drill.rig.exchange import Exchange
from genrewatch_drill.rig.record import Unmet
from genrewatch_drill.rig.snapshot import snapshot

SMALL_MB = 4
GOOD_S, BAD_S = 4.0, 6.0
STEPS_S = (3600, -5400)


@dataclass(frozen=True, kw_only=True)
class DiskRow:
    """A fault of the disk or the clock."""

    name: str
    fault: str
    play: Callable[[DiskStage], str]
    """Plays and checks; says what was seen. Raises Unmet, or NoMount."""


def disk_drill(directory: Path, *, tell: Callable[[Result], None] = lambda result: None) -> list[Result]:
    """Plays all rows, one after the other, in `directory`, an empty one; nothing stays running."""
    results = []
    for row in ROWS:
        place = directory / row.name
        place.mkdir(parents=True)
        results.append(_played(row, place))
        tell(results[-1])
    return results


def _played(row: DiskRow, directory: Path) -> Result:
    if not find_program("mosquitto"):
        return _skipped(row, "mosquitto is not installed")
    began = time.monotonic()
    with Exchange(directory / "broker") as exchange:
        try:
            seen = row.play(DiskStage(directory, exchange))
        except NoMount as exc:
            return _skipped(row, str(exc))
        except (Unmet, SourceError) as exc:
            return Result(name=row.name, fault=row.fault, verdict="fail", outcome=Outcome(seen=str(exc)))
    seen = f"{seen}; {time.monotonic() - began:.0f} s"
    return Result(name=row.name, fault=row.fault, verdict="pass", outcome=Outcome(seen=seen))


def _skipped(row: DiskRow, why: str) -> Result:
    return Result(name=row.name, fault=row.fault, verdict="skipped", outcome=Outcome(seen=why))


def _full(stage: DiskStage) -> str:
    with small_disk(stage.state, mb=SMALL_MB):
        with stage.daemon():
            stage.until_health("at first", lambda health: not says_history(health), since=0.0)
            time.sleep(GOOD_S)
            full_at, ballast = time.monotonic(), stage.state / "ballast"
            _fill(ballast)
            seen = _sit_out(stage, full_at, ballast.unlink)
        return f"{seen}, {stage.check_all_kept()}"


def _read_only(stage: DiskStage) -> str:
    with small_disk(stage.state, mb=SMALL_MB):
        mount(["-o", "remount,ro", str(stage.state)])
        with stage.daemon() as subject:
            seen = _sit_out(stage, subject.started, lambda: mount(["-o", "remount,rw", str(stage.state)]))
        return f"{seen}, {stage.check_all_kept()}"


def _sit_out(stage: DiskStage, since: float, mend: Callable[[], None]) -> str:
    """The daemon says that it cannot write, and goes on; once that is mended, it says so too. What was seen."""
    stage.until_health("while nothing can be written", says_history, since)
    time.sleep(BAD_S)
    states = stage.check_states(since)
    mended_at = time.monotonic()
    mend()
    stage.until_health("after it was mended", lambda health: not says_history(health), mended_at)
    mended_s = time.monotonic() - mended_at
    time.sleep(GOOD_S)
    return f"degraded, {states} states meanwhile, well {mended_s:.0f} s after it was mended"


def _damaged(stage: DiskStage) -> str:
    with stage.daemon():
        time.sleep(GOOD_S)
    _overwrite(database_path(stage.state, NODE))
    newest, again_at = stage.newest_seq(), time.monotonic()
    with stage.daemon():
        stage.until_health("with a damaged database", set_aside, again_at)
        time.sleep(GOOD_S)
        stage.check_states(again_at)
    seen = stage.check_all_kept()
    first = min(snapshot(stage.state, NODE).texts, default=0)
    if first <= newest:
        raise Unmet(f"seq {first} was given again")
    return f"set aside, {seen}, seq goes on with {first} after {newest}"


def _damaged_meanwhile(stage: DiskStage) -> str:
    """What SQLite holds in memory may serve the daemon to its end; then the next one must find the damage."""
    with stage.daemon():
        time.sleep(GOOD_S)
        path, damaged_at = database_path(stage.state, NODE), time.monotonic()
        for part in (path, path.with_name(path.name + "-wal")):
            _overwrite(part)
        time.sleep(GOOD_S + BAD_S)
        stage.check_states(damaged_at)
        noticed = stage.newest_health(set_aside)
    with stage.daemon():
        again_at = time.monotonic()
        if not noticed:
            stage.until_health("with a damaged database", set_aside, again_at)
        time.sleep(GOOD_S)
        stage.check_states(again_at)
    return f"set aside {'at once' if noticed else 'at the next start'}, {stage.check_all_kept()}"


def _clock_set(stage: DiskStage) -> str:
    with stage.daemon():
        for step_s in STEPS_S:
            time.sleep(GOOD_S)
            set_clock(stage.clock, step_s)
        time.sleep(GOOD_S)
        stage.check_states(0.0)
    seen = stage.check_all_kept()
    steps = [step for step in stage.clock_steps_s() if abs(step) > 1]
    if abs(min(steps, default=0) - STEPS_S[1] + STEPS_S[0]) > 2 or abs(max(steps, default=0) - STEPS_S[0]) > 2:
        raise Unmet(f"the clock was set by {STEPS_S}, the records say {steps}")
    return f"{len(steps)} records mark a step, {seen}"


def _fill(ballast: Path) -> None:
    """Until there is no room for a byte more."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


def _overwrite(path: Path) -> None:
    """Garbage in the place of the whole file, by way of somebody else's program."""
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.write(os.urandom(size))


ROWS = (
    DiskRow(name="disk-full", fault="disk full, then freed", play=_full),
    DiskRow(name="read-only", fault="read-only state directory, then writable", play=_read_only),
    DiskRow(name="damaged", fault="database overwritten with garbage, between two runs", play=_damaged),
    DiskRow(name="damaged-live", fault="database overwritten with garbage, while running", play=_damaged_meanwhile),
    DiskRow(name="clock", fault="wall clock set forth and back", play=_clock_set),
)

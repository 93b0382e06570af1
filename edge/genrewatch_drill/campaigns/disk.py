"""`genrewatch drill --disk`: a full disk, a read-only disk, a damaged database, a wall clock that is set.

In each case states must still be published, health must report the problem, the daemon must recover without a restart
and no record may be missing afterwards.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genrewatch.contract.errors import GenrewatchError
from genrewatch.history.database import database_path
from genrewatch_drill.campaigns.disk_daemon import (
    DiskDaemon,
    MountDenied,
    mount,
    reports_history,
    reports_set_aside,
    set_clock,
    small_disk,
)
from genrewatch_drill.rig.daemon import NODE
from genrewatch_drill.rig.killable_broker import KillableBroker
from genrewatch_drill.rig.results import CheckFailed, Outcome, Result
from genrewatch_drill.rig.snapshot import snapshot
from genrewatch_drill.servers.programs import find_program

SMALL_MB = 4
GOOD_S, BAD_S = 4.0, 6.0
STEPS_S = (3600, -5400)


@dataclass(frozen=True, kw_only=True)
class DiskRow:
    """A fault of the disk or the wall clock."""

    name: str
    fault: str
    play: Callable[[DiskDaemon], str]
    """Causes the fault, checks the daemon and returns what was observed; raises CheckFailed or MountDenied."""


def disk_drill(directory: Path, *, on_result: Callable[[Result], None] = lambda result: None) -> list[Result]:
    """Play all rows one after the other in an empty directory; leaves no process."""
    results = []
    for row in ROWS:
        row_directory = directory / row.name
        row_directory.mkdir(parents=True)
        results.append(_play(row, row_directory))
        on_result(results[-1])
    return results


def _play(row: DiskRow, directory: Path) -> Result:
    if not find_program("mosquitto"):
        return _skipped(row, "mosquitto is not installed")
    began = time.monotonic()
    with KillableBroker(directory / "broker") as broker:
        try:
            seen = row.play(DiskDaemon(directory, broker))
        except MountDenied as exc:
            return _skipped(row, str(exc))
        except (CheckFailed, GenrewatchError) as exc:
            return Result(name=row.name, fault=row.fault, verdict="fail", outcome=Outcome(seen=str(exc)))
    seen = f"{seen}; {time.monotonic() - began:.0f} s"
    return Result(name=row.name, fault=row.fault, verdict="pass", outcome=Outcome(seen=seen))


def _skipped(row: DiskRow, reason: str) -> Result:
    return Result(name=row.name, fault=row.fault, verdict="skipped", outcome=Outcome(seen=reason))


def _full(disk: DiskDaemon) -> str:
    with small_disk(disk.state, mb=SMALL_MB):
        with disk.running():
            disk.wait_health("at first", lambda health: not reports_history(health), since=0.0)
            time.sleep(GOOD_S)
            full_at, ballast = time.monotonic(), disk.state / "ballast"
            _fill(ballast)
            seen = _endure(disk, full_at, ballast.unlink)
        return f"{seen}, {disk.check_all_kept()}"


def _read_only(disk: DiskDaemon) -> str:
    with small_disk(disk.state, mb=SMALL_MB):
        mount(["-o", "remount,ro", str(disk.state)])
        with disk.running() as daemon:
            seen = _endure(disk, daemon.started, lambda: mount(["-o", "remount,rw", str(disk.state)]))
        return f"{seen}, {disk.check_all_kept()}"


def _endure(disk: DiskDaemon, since: float, repair: Callable[[], None]) -> str:
    """Check that health reports the problem, that states continue and that health is well after `repair`."""
    disk.wait_health("while nothing can be written", reports_history, since)
    time.sleep(BAD_S)
    states = disk.check_states(since)
    repaired_at = time.monotonic()
    repair()
    disk.wait_health("after the repair", lambda health: not reports_history(health), repaired_at)
    recovered_s = time.monotonic() - repaired_at
    time.sleep(GOOD_S)
    return f"degraded, {states} states meanwhile, well {recovered_s:.0f} s after the repair"


def _damaged(disk: DiskDaemon) -> str:
    with disk.running():
        time.sleep(GOOD_S)
    _overwrite(database_path(disk.state, NODE))
    newest, restarted_at = disk.newest_seq(), time.monotonic()
    with disk.running():
        disk.wait_health("with a damaged database", reports_set_aside, restarted_at)
        time.sleep(GOOD_S)
        disk.check_states(restarted_at)
    seen = disk.check_all_kept()
    first = min(snapshot(disk.state, NODE).texts, default=0)
    if first <= newest:
        raise CheckFailed(f"seq {first} was assigned again")
    return f"set aside, {seen}, seq continues with {first} after {newest}"


def _damaged_meanwhile(disk: DiskDaemon) -> str:
    """Overwrite the database of a running daemon; SQLite's cache may hide the damage until the next start."""
    with disk.running():
        time.sleep(GOOD_S)
        path, damaged_at = database_path(disk.state, NODE), time.monotonic()
        for part in (path, path.with_name(path.name + "-wal")):
            _overwrite(part)
        time.sleep(GOOD_S + BAD_S)
        disk.check_states(damaged_at)
        noticed = disk.newest_health(reports_set_aside)
    with disk.running():
        restarted_at = time.monotonic()
        if not noticed:
            disk.wait_health("with a damaged database", reports_set_aside, restarted_at)
        time.sleep(GOOD_S)
        disk.check_states(restarted_at)
    return f"set aside {'at once' if noticed else 'at the next start'}, {disk.check_all_kept()}"


def _clock_set(disk: DiskDaemon) -> str:
    with disk.running():
        for step_s in STEPS_S:
            time.sleep(GOOD_S)
            set_clock(disk.clock, step_s)
        time.sleep(GOOD_S)
        disk.check_states(0.0)
    seen = disk.check_all_kept()
    steps = [step for step in disk.clock_steps_s() if abs(step) > 1]
    if abs(min(steps, default=0) - STEPS_S[1] + STEPS_S[0]) > 2 or abs(max(steps, default=0) - STEPS_S[0]) > 2:
        raise CheckFailed(f"the clock was set by {STEPS_S}, the records have {steps}")
    return f"{len(steps)} records mark a step, {seen}"


def _fill(ballast: Path) -> None:
    """Write a file until the disk is full."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


def _overwrite(path: Path) -> None:
    """Overwrite a file with random bytes."""
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.write(os.urandom(size))


ROWS = (
    DiskRow(name="disk-full", fault="disk full, then freed", play=_full),
    DiskRow(name="read-only", fault="read-only state directory, then writable", play=_read_only),
    DiskRow(name="damaged", fault="database overwritten with garbage, between two runs", play=_damaged),
    DiskRow(name="damaged-live", fault="database overwritten with garbage, while running", play=_damaged_meanwhile),
    DiskRow(name="clock", fault="wall clock set forward and back", play=_clock_set),
)

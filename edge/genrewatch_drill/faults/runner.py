"""Plays the rows of the fault matrix at once in one daemon, and then stops it as a service manager would."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from genrewatch.daemon.config import ListenConfig
from genrewatch.inference.pipeline import open_pipeline
from genrewatch.sources.kinds import KINDS
from genrewatch_drill.faults import broker as broker_faults
from genrewatch_drill.faults import child as child_faults
from genrewatch_drill.faults import microphone as microphone_faults
from genrewatch_drill.faults import pauses as pause_faults
from genrewatch_drill.faults import sound as sound_faults
from genrewatch_drill.faults import stream as stream_faults
from genrewatch_drill.faults import web as web_faults
from genrewatch_drill.faults.context import Context
from genrewatch_drill.faults.row import Row, SourceTable
from genrewatch_drill.rig.daemon import DaemonConfig, DaemonExit, DaemonProcess
from genrewatch_drill.rig.processes import PeakMemory
from genrewatch_drill.rig.results import CheckFailed, Outcome, Result, Verdict
from genrewatch_drill.rig.sounds import Sounds
from genrewatch_drill.servers.programs import find_program

ROWS: tuple[Row, ...] = (
    *child_faults.ROWS,
    *sound_faults.ROWS,
    *pause_faults.ROWS,
    *stream_faults.ROWS,
    *web_faults.ROWS,
    *microphone_faults.ROWS,
    *broker_faults.ROWS,
)
EXIT_WITHIN_S = 5.0
GROWTH_MB, GROWTH_MB_PER_SOURCE = 24.0, 1.5
LINES_PER_MINUTE = 2
"""Lines on standard error per source, beside `LINES_AT_START`."""
LINES_AT_START = 10
DAEMONS_AT_ONCE = 3
UNSTOPPABLE = "unstoppable"
"""The source whose child process ignores SIGTERM."""

Note = Callable[[str, str, Verdict, Outcome], None]


def drill(
    directory: Path,
    *,
    short: bool,
    only: Sequence[str] = (),
    mqtt: bool | None = None,
    on_result: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Play the chosen rows in an empty directory; `on_result` is called with each result. Leaves no process."""
    chosen = [row for row in ROWS if not only or row.name in only]
    results: list[Result] = []
    lock = threading.Lock()

    def note(name: str, fault: str, verdict: Verdict, outcome: Outcome) -> None:
        with lock:
            results.append(Result(name=name, fault=fault, verdict=verdict, outcome=outcome))
            on_result(results[-1])

    with ExitStack() as resources:
        context = _context(directory, resources, short=short)
        playable = _playable(chosen, note)
        tables: list[SourceTable] = [context.player(UNSTOPPABLE, "ignore_sigterm play")]
        tables += [table for row in playable for table in row.sources(context)]
        config = DaemonConfig(sources=tables, vote={"segments": 3} if short else {}, environment=context.environment)
        with DaemonProcess(directory / "daemon", config, mqtt=mqtt) as daemon:
            context.running = daemon
            daemon.wait_until_listening()
            with PeakMemory(daemon.process.pid) as memory:
                _play_all([row for row in playable if not row.own_daemon], context, note)
            note("memory", "all rows: memory is bounded", *_check_memory(memory, sources=len(tables)))
            note("log", "all rows: the log is not flooded", *_check_log(daemon, sources=len(tables)))
            note("end", "SIGTERM, with a child process that ignores it", *_check_exit(daemon, daemon.stop()))
        _play_all([row for row in playable if row.own_daemon], context, note, at_once=DAEMONS_AT_ONCE)
    order = [*(row.name for row in chosen), "memory", "log", "end"]
    return sorted(results, key=lambda result: order.index(result.name))


def _context(directory: Path, resources: ExitStack, *, short: bool) -> Context:
    config = ListenConfig()
    return Context(
        directory=directory,
        sounds=Sounds(directory / "sounds"),
        short=short,
        pipeline=open_pipeline(config.bundle_path, config.vote.apply, config.level),
        resources=resources,
    )


def _playable(rows: Sequence[Row], note: Note) -> list[Row]:
    """Return the rows whose needs are met; the others are skipped."""
    playable: list[Row] = []
    for row in rows:
        missing = [need for need in row.needs if not (need in KINDS or find_program(need))]
        if missing:
            note(row.name, row.fault, "skipped", Outcome(seen=f"{', '.join(missing)} is not installed"))
        else:
            playable.append(row)
    return playable


def _play_all(rows: Sequence[Row], context: Context, note: Note, *, at_once: int = 1000) -> None:
    free = threading.Semaphore(at_once)

    def play(row: Row) -> None:
        with free:
            play_row(row)

    def play_row(row: Row) -> None:
        try:
            note(row.name, row.fault, "pass", row.play(context))
        except CheckFailed as exc:
            note(row.name, row.fault, "fail", Outcome(seen=str(exc)))
        except Exception as exc:  # a defect of the drill itself: the row fails, the others continue
            note(row.name, row.fault, "fail", Outcome(seen=f"the drill itself failed: {exc!r}"))

    threads = [threading.Thread(target=play, args=(row,), daemon=True) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _check_memory(memory: PeakMemory, *, sources: int) -> tuple[Verdict, Outcome]:
    """Compare the growth with the limit; the flood would take 100 MB if its queue were unbounded."""
    growth = memory.peak_mb - memory.first_mb
    seen = f"{memory.first_mb:.0f} MB before the first sound, {memory.peak_mb:.0f} MB at most, {sources} sources"
    return ("pass" if growth <= GROWTH_MB + GROWTH_MB_PER_SOURCE * sources else "fail"), Outcome(seen=seen)


def _check_log(daemon: DaemonProcess, *, sources: int) -> tuple[Verdict, Outcome]:
    minutes = max(1.0, (time.monotonic() - daemon.started) / 60)
    lines, at_most = len(daemon.stderr_lines), LINES_AT_START + LINES_PER_MINUTE * sources * minutes
    tracebacks = sum("Traceback" in line for line in daemon.stderr_lines)
    seen = f"{lines} lines from {sources} sources in {minutes:.1f} min, {len(daemon.printed)} changes printed"
    if tracebacks:
        return "fail", Outcome(seen=f"{seen}, {tracebacks} tracebacks")
    return ("pass" if lines <= at_most else "fail"), Outcome(seen=seen)


def _check_exit(daemon: DaemonProcess, ended: DaemonExit) -> tuple[Verdict, Outcome]:
    """Check that exit code 0 comes in time, that everything is published offline and that no process is left."""
    problems = [] if ended.code == 0 else [f"exit code {ended.code}"]
    if ended.seconds > EXIT_WITHIN_S:
        problems.append(f"took {ended.seconds:.1f} s")
    if ended.orphans:
        problems.append(f"{len(ended.orphans)} processes left over")
    problems += [f"{name} not published offline" for name in _still_online(daemon)]
    seen = f"exit code 0 after {ended.seconds:.1f} s, all offline, no process left"
    return ("fail" if problems else "pass"), Outcome(seen=", ".join(problems) or seen)


def _still_online(daemon: DaemonProcess) -> list[str]:
    deadline = time.monotonic() + EXIT_WITHIN_S  # the broker may still have messages for the subscriber
    while time.monotonic() < deadline:
        online = daemon.messages.still_online()
        if not online:
            return []
        time.sleep(0.05)
    return online

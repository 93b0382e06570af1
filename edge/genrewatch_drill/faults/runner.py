"""Plays the rows of the drill, all at once, in one daemon, and then ends it as a service manager would."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genrewatch.daemon.config import ListenConfig
from genrewatch.inference.pipeline import open_pipeline
from genrewatch.sources.kinds import KINDS
from genrewatch_drill.faults import child as child_faults
from genrewatch_drill.faults import microphone as microphone_faults
from genrewatch_drill.faults import sound as sound_faults
from genrewatch_drill.faults import stream as stream_faults
from genrewatch_drill.faults.row import Row, Table
from genrewatch_drill.faults.stage import Outcome, Stage
from genrewatch_drill.rig.broker import find_program
from genrewatch_drill.rig.proc import PeakMemory
from genrewatch_drill.rig.record import Unmet
from genrewatch_drill.rig.sounds import Sounds
from genrewatch_drill.rig.subject import Farewell, Setting, Subject

ROWS: tuple[Row, ...] = (*child_faults.ROWS, *sound_faults.ROWS, *stream_faults.ROWS, *microphone_faults.ROWS)
END_WITHIN_S = 5.0
GROWTH_MB, GROWTH_MB_EACH = 24.0, 1.5
LINES_A_MINUTE = 2  # of a source, on standard error, beside what is said at the start
LINES_AT_START = 10
DEAF = "deaf"
END_FAULT = "SIGTERM, with a child that ignores it"

Verdict = Literal["pass", "fail", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a row."""

    name: str
    fault: str
    verdict: Verdict
    outcome: Outcome


def drill(
    directory: Path,
    *,
    short: bool,
    only: Sequence[str] = (),
    mqtt: bool | None = None,
    tell: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Plays the chosen rows in `directory`, an empty one; tells each result as it comes. Nothing stays running."""
    chosen = [row for row in ROWS if not only or row.name in only]
    results: list[Result] = []
    lock = threading.Lock()

    def note(name: str, fault: str, verdict: Verdict, outcome: Outcome) -> None:
        with lock:
            results.append(Result(name=name, fault=fault, verdict=verdict, outcome=outcome))
            tell(results[-1])

    with ExitStack() as resources:
        stage = _stage(directory, resources, short=short)
        playable: list[Row] = []
        for row in chosen:
            missing = [need for need in row.needs if not (need in KINDS or find_program(need))]
            if missing:
                note(row.name, row.fault, "skipped", Outcome(seen=f"{', '.join(missing)} is not installed"))
            else:
                playable.append(row)
        tables: list[Table] = [stage.player(DEAF, "deaf play")]
        tables += [table for row in playable for table in row.sources(stage)]
        setting = Setting(sources=tables, vote={"segments": 3} if short else {}, environment=stage.environment)
        with Subject(directory / "daemon", setting, mqtt=mqtt) as subject:
            stage.subject.append(subject)
            subject.until_listening()
            with PeakMemory(subject.process.pid) as memory:
                _play_all(playable, stage, note)
            note("memory", "all of these: is memory bounded?", *_judge_memory(memory, sources=len(tables)))
            note("log", "all of these: is the log flooded?", *_judge_log(subject, sources=len(tables)))
            note("end", END_FAULT, *_judge_end(subject, subject.end()))
    order = [*(row.name for row in chosen), "memory", "log", "end"]
    return sorted(results, key=lambda result: order.index(result.name))


def _stage(directory: Path, resources: ExitStack, *, short: bool) -> Stage:
    config = ListenConfig()
    return Stage(
        directory=directory,
        sounds=Sounds(directory / "sounds"),
        short=short,
        pipeline=open_pipeline(config.bundle_path, config.vote.apply, config.level),
        resources=resources,
    )


def _play_all(rows: Sequence[Row], stage: Stage, note: Callable[[str, str, Verdict, Outcome], None]) -> None:
    def play(row: Row) -> None:
        try:
            note(row.name, row.fault, "pass", row.play(stage))
        except Unmet as exc:
            note(row.name, row.fault, "fail", Outcome(seen=str(exc)))
        except Exception as exc:  # a defect of the drill itself: the row fails, the others go on
            note(row.name, row.fault, "fail", Outcome(seen=f"the drill itself failed: {exc!r}"))

    threads = [threading.Thread(target=play, args=(row,), daemon=True) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _judge_memory(memory: PeakMemory, *, sources: int) -> tuple[Verdict, Outcome]:
    """The flood alone would take 100 MB if its queue had no bound."""
    grown = memory.peak_mb - memory.first_mb
    seen = f"{memory.first_mb:.0f} MB before the first sound, {memory.peak_mb:.0f} MB at most, {sources} sources"
    return ("pass" if grown <= GROWTH_MB + GROWTH_MB_EACH * sources else "fail"), Outcome(seen=seen)


def _judge_log(subject: Subject, *, sources: int) -> tuple[Verdict, Outcome]:
    minutes = max(1.0, (time.monotonic() - subject.started) / 60)
    lines, most = len(subject.complained), LINES_AT_START + LINES_A_MINUTE * sources * minutes
    tracebacks = sum("Traceback" in line for line in subject.complained)
    seen = f"{lines} lines from {sources} sources in {minutes:.1f} min, {len(subject.printed)} changes printed"
    if tracebacks:
        return "fail", Outcome(seen=f"{seen}, {tracebacks} tracebacks")
    return ("pass" if lines <= most else "fail"), Outcome(seen=seen)


def _judge_end(subject: Subject, farewell: Farewell) -> tuple[Verdict, Outcome]:
    """A clean end: `offline` for all that were online, exit code 0 in time, nobody left behind."""
    wrong = [] if farewell.code == 0 else [f"exit code {farewell.code}"]
    if farewell.seconds > END_WITHIN_S:
        wrong.append(f"took {farewell.seconds:.1f} s")
    if farewell.left:
        wrong.append(f"{len(farewell.left)} processes left over")
    wrong += [f"{name} not said offline" for name in _still_online(subject)]
    seen = f"exit code 0 after {farewell.seconds:.1f} s, all offline, no process left"
    return ("fail" if wrong else "pass"), Outcome(seen=", ".join(wrong) or seen)


def _still_online(subject: Subject) -> list[str]:
    deadline = time.monotonic() + END_WITHIN_S  # for the broker to hand on what it has
    while time.monotonic() < deadline:
        online = subject.record.last_online()
        if not online:
            return []
        time.sleep(0.05)
    return online

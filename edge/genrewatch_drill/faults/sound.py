"""Sound that is none, or too much: silence against stall, NaN, DC, full scale; and bad sources among good ones."""

import math
import os
import shlex
import signal
import time
from pathlib import Path
from typing import Any

from genrewatch.audio.decoding import decode_file
from genrewatch.contract.vote import SILENCE
from genrewatch.inference.json_fields import result_fields
from genrewatch.inference.pipeline import classify_stream
from genrewatch_drill.faults.row import Row, Table
from genrewatch_drill.faults.stage import Outcome, Stage
from genrewatch_drill.rig.record import Said, Unmet
from genrewatch_drill.rig.sounds import MUSIC_S, RATE

ENOUGH = 3
PLACE = ("start_s", "end_s", "label", "level_dbfs")


def _silence() -> Row:
    name = "silence"

    def sources(stage: Stage) -> list[Table]:
        return [stage.player(name, "play", sound=stage.sounds.silence)]

    def play(stage: Stage) -> Outcome:
        said = stage.until(name, "state", lambda body: body["reason"] == "silence")
        if said.body["level_dbfs"] is not None:
            raise Unmet(f"digital silence has a level of {said.body['level_dbfs']} dBFS")
        fault_at = time.monotonic()
        os.kill(stage.journal(name, "start")[-1]["pid"], signal.SIGSTOP)
        stage.until(name, "state", lambda body: body["reason"] == "stalled", since=fault_at)
        outcome = stage.outage(name, fault_at, how="silence, then stalled, then silence")
        stage.until(name, "state", lambda body: body["reason"] == "silence", since=fault_at + stage.stall_s)
        return outcome

    return Row(name=name, fault="digital silence, then a stall", sources=sources, play=play)


def _no_music(name: str, fault: str, sound: str, bytes_per_s: int, options: str = "") -> Row:
    """What holds no sound must be called silence without a level, and never be a genre."""

    def sources(stage: Stage) -> list[Table]:
        path: Path = getattr(stage.sounds, sound)
        return [stage.player(name, "play", sound=path, bytes_per_s=bytes_per_s, options=options)]

    def play(stage: Stage) -> Outcome:
        for segment in _segments(stage, name, ENOUGH):
            if (segment.body["label"], segment.body["level_dbfs"]) != (SILENCE, None):
                raise Unmet(f"called {segment.body['label']} at {segment.body['level_dbfs']} dBFS")
        if any(state.body.get("genre") for state in stage.daemon.record.of(name, "state")):
            raise Unmet("a genre was announced")
        return Outcome(seen=f"{ENOUGH} segments of silence, level null", lost_s=stage.daemon.lost_s(name))

    return Row(name=name, fault=fault, sources=sources, play=play)


def _loud(name: str, fault: str, sound: str, bytes_per_s: int, options: str = "", *, clipped: float = 0.0) -> Row:
    """What holds music must have a finite level, and say how much of it is clipped."""

    def sources(stage: Stage) -> list[Table]:
        path: Path = getattr(stage.sounds, sound)
        return [stage.player(name, "play", sound=path, bytes_per_s=bytes_per_s, options=options)]

    def play(stage: Stage) -> Outcome:
        segments = _segments(stage, name, ENOUGH)
        levels = [segment.body["level_dbfs"] for segment in segments]
        if not all(level is not None and math.isfinite(level) and level < 1 for level in levels):
            raise Unmet(f"levels {levels}")
        shares = [segment.body["clipped"] for segment in segments]
        if min(shares) < clipped:
            raise Unmet(f"clipped {shares}")
        return Outcome(seen=f"{max(levels):.1f} dBFS, {100 * max(shares):.0f} % clipped")

    return Row(name=name, fault=fault, sources=sources, play=play)


def _some_bad() -> Row:
    """Five good sources among three that fail must give, segment for segment, what their file gives alone."""
    good, bad = [f"good{n}" for n in range(5)], ["bad-dies", "bad-mute", "bad-missing"]

    def sources(stage: Stage) -> list[Table]:
        wav = stage.sounds.music_wav
        once = shlex.join(stage.player_command(good[4], f"wav={RATE}/1 play={MUSIC_S}"))
        return [
            *(stage.source(name, f"file:{wav}") for name in good[:4]),
            stage.source(good[4], f"cmd:{once}?restart=never"),
            stage.player(bad[0], "play=1 die"),
            stage.player(bad[1], "stall"),
            stage.source(bad[2], "cmd:no-such-program-of-the-drill"),
        ]

    def play(stage: Stage) -> Outcome:
        alone = list(classify_stream(decode_file(stage.sounds.music_wav), stage.pipeline))
        expected = [_place(result_fields(result)) for result in alone]
        for name in good:
            heard = [_place(said.body) for said in _segments(stage, name, len(expected))]
            if heard != expected:
                number = next(n for n, (a, b) in enumerate(zip(heard, expected, strict=True)) if a != b)
                raise Unmet(f"{name} differs from its file alone: {heard[number]}, not {expected[number]}")
            if stage.daemon.lost_s(name):
                raise Unmet(f"{name} has lost {stage.daemon.lost_s(name):.1f} s")
        for name in bad:
            stage.until(name, "availability", lambda body: not body["online"])
        return Outcome(seen=f"{len(good)} x {len(expected)} segments as from the file alone, 3 offline", lost_s=0.0)

    return Row(name="eight", fault="eight sources of which three fail", sources=sources, play=play)


def _segments(stage: Stage, name: str, count: int) -> list[Said]:
    """The first so many segments of a source."""
    since = 0.0
    for _ in range(count):
        since = stage.until(name, "segment", since=since + 1e-9).at
    return stage.daemon.record.of(name, "segment", until=since)[:count]


def _place(body: Any) -> dict[str, Any]:
    return {key: body[key] for key in PLACE}


ROWS = (
    _silence(),
    _no_music("nan", "NaN and Inf", "not_numbers", 4 * RATE, f"rate={RATE}&format=f32le"),
    _no_music("dc", "constant voltage (DC)", "constant", 2 * RATE),
    _loud("spoilt", "music with NaN, Inf and 1e30 in it", "spoilt", 4 * RATE, f"rate={RATE}&format=f32le"),
    _loud("clipped", "music far beyond full scale", "clipped", 2 * RATE, clipped=0.3),
    _some_bad(),
)

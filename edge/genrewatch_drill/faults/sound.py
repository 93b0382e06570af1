"""Faults of the samples: silence before a stall, NaN, DC, full scale; and faulty sources beside good ones."""

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
from genrewatch_drill.faults.context import Context
from genrewatch_drill.faults.row import Row, SourceTable
from genrewatch_drill.rig.messages import Message
from genrewatch_drill.rig.results import CheckFailed, Outcome
from genrewatch_drill.rig.sounds import MUSIC_S, RATE

SEGMENTS = 3
COMPARED = ("start_s", "end_s", "label", "level_dbfs")


def _silence() -> Row:
    name = "silence"

    def sources(context: Context) -> list[SourceTable]:
        return [context.player(name, "play", sound=context.sounds.silence)]

    def play(context: Context) -> Outcome:
        state = context.wait(name, "state", lambda body: body["reason"] == "silence")
        if state.body["level_dbfs"] is not None:
            raise CheckFailed(f"digital silence has a level of {state.body['level_dbfs']} dBFS")
        fault_at = time.monotonic()
        os.kill(context.journal(name, "start")[-1]["pid"], signal.SIGSTOP)
        context.wait(name, "state", lambda body: body["reason"] == "stalled", since=fault_at)
        outcome = context.outage(name, fault_at, how="silence, then stalled, then silence")
        context.wait(name, "state", lambda body: body["reason"] == "silence", since=fault_at + context.stall_s)
        return outcome

    return Row(name=name, fault="digital silence, then a stall", sources=sources, play=play)


def _no_music(name: str, fault: str, sound: str, bytes_per_s: int, options: str = "") -> Row:
    """Return the row of samples without sound: they must be classified as silence without a level, never as a genre."""

    def sources(context: Context) -> list[SourceTable]:
        path: Path = getattr(context.sounds, sound)
        return [context.player(name, "play", sound=path, bytes_per_s=bytes_per_s, options=options)]

    def play(context: Context) -> Outcome:
        for segment in _segments(context, name, SEGMENTS):
            if (segment.body["label"], segment.body["level_dbfs"]) != (SILENCE, None):
                raise CheckFailed(f"classified as {segment.body['label']} at {segment.body['level_dbfs']} dBFS")
        if any(state.body.get("genre") for state in context.daemon.messages.of(name, "state")):
            raise CheckFailed("a genre was published")
        return Outcome(seen=f"{SEGMENTS} segments of silence, level null", lost_s=context.daemon.lost_s(name))

    return Row(name=name, fault=fault, sources=sources, play=play)


def _loud(name: str, fault: str, sound: str, bytes_per_s: int, options: str = "", *, clipped: float = 0.0) -> Row:
    """Return the row of music with faulty samples: its level must be finite and its share of clipped samples known."""

    def sources(context: Context) -> list[SourceTable]:
        path: Path = getattr(context.sounds, sound)
        return [context.player(name, "play", sound=path, bytes_per_s=bytes_per_s, options=options)]

    def play(context: Context) -> Outcome:
        segments = _segments(context, name, SEGMENTS)
        levels = [segment.body["level_dbfs"] for segment in segments]
        if not all(level is not None and math.isfinite(level) and level < 1 for level in levels):
            raise CheckFailed(f"levels {levels}")
        shares = [segment.body["clipped"] for segment in segments]
        if min(shares) < clipped:
            raise CheckFailed(f"clipped {shares}")
        return Outcome(seen=f"{max(levels):.1f} dBFS, {100 * max(shares):.0f} % clipped")

    return Row(name=name, fault=fault, sources=sources, play=play)


def _some_bad() -> Row:
    """Return the row of five good and three failing sources: good segments must equal those of the file."""
    good, bad = [f"good{n}" for n in range(5)], ["bad-dies", "bad-mute", "bad-missing"]

    def sources(context: Context) -> list[SourceTable]:
        wav = context.sounds.music_wav
        once = shlex.join(context.player_command(good[4], f"wav={RATE}/1 play={MUSIC_S}"))
        return [
            *(context.source(name, f"file:{wav}") for name in good[:4]),
            context.source(good[4], f"cmd:{once}?restart=never"),
            context.player(bad[0], "play=1 die"),
            context.player(bad[1], "stall"),
            context.source(bad[2], "cmd:no-such-program-of-the-drill"),
        ]

    def play(context: Context) -> Outcome:
        offline = list(classify_stream(decode_file(context.sounds.music_wav), context.pipeline))
        expected = [_compared(result_fields(result)) for result in offline]
        for name in good:
            received = [_compared(segment.body) for segment in _segments(context, name, len(expected))]
            if received != expected:
                number = next(n for n, (a, b) in enumerate(zip(received, expected, strict=True)) if a != b)
                raise CheckFailed(f"{name} differs from its file: {received[number]}, not {expected[number]}")
            if context.daemon.lost_s(name):
                raise CheckFailed(f"{name} has lost {context.daemon.lost_s(name):.1f} s")
        for name in bad:
            context.wait(name, "availability", lambda body: not body["online"])
        return Outcome(seen=f"{len(good)} x {len(expected)} segments equal to the file, 3 offline", lost_s=0.0)

    return Row(name="eight", fault="eight sources of which three fail", sources=sources, play=play)


def _segments(context: Context, name: str, count: int) -> list[Message]:
    """Return the first `count` segments of a source."""
    since = 0.0
    for _ in range(count):
        since = context.wait(name, "segment", since=since + 1e-9).at
    return context.daemon.messages.of(name, "segment", until=since)[:count]


def _compared(body: Any) -> dict[str, Any]:
    return {key: body[key] for key in COMPARED}


ROWS = (
    _silence(),
    _no_music("nan", "NaN and Inf", "not_numbers", 4 * RATE, f"rate={RATE}&format=f32le"),
    _no_music("dc", "constant voltage (DC)", "constant", 2 * RATE),
    _loud("spoilt", "music with NaN, Inf and 1e30 in it", "corrupted", 4 * RATE, f"rate={RATE}&format=f32le"),
    _loud("clipped", "music far beyond full scale", "clipped", 2 * RATE, clipped=0.3),
    _some_bad(),
)

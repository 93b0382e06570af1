"""What is said of a segment, in words a program reads: one set of fields for JSON lines, timelines and MQTT."""

import math
from typing import Any

from genrewatch.contract.vote import Verdict
from genrewatch.inference.pipeline import SegmentResult

SCHEMA_VERSION = 1


def verdict_fields(verdict: Verdict) -> dict[str, Any]:
    """The verdict: genre, reason, share, confidence, votes, segments."""
    return {
        "genre": verdict.genre,
        "reason": verdict.reason,
        "confidence": rounded(verdict.confidence),
        "share": rounded(verdict.share),
        "votes": verdict.votes,
        "segments": verdict.segments,
    }


def result_fields(result: SegmentResult) -> dict[str, Any]:
    """A segment's rolling verdict with where it lies in the stream; the same from a file and from a live source."""
    return {
        "start_s": rounded(result.start_s, 3),
        "end_s": rounded(result.end_s, 3),
        "label": result.ballot.label,
        **verdict_fields(result.verdict),
        **level_fields(result),
        "lost_s": rounded(result.lost_s, 3),
    }


def level_fields(result: SegmentResult) -> dict[str, Any]:
    """How loud the newest hop is, and whether silence has lasted too long."""
    level = result.level
    return {
        "level_dbfs": rounded(level.dbfs, 1),
        "peak_dbfs": rounded(level.peak_dbfs, 1),
        "clipped": rounded(level.clipped),
        "dc": rounded(level.dc),
        "dead_air": result.dead_air,
    }


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Rounds for print; absence stays None, and so does what JSON cannot hold."""
    return None if value is None or not math.isfinite(value) else round(value, digits)

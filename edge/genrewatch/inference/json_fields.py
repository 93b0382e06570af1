"""Verdicts and segment results as JSON fields: the same in JSON lines, timelines, MQTT payloads and the history."""

from typing import Any

from genrewatch.audio.mix import Mix
from genrewatch.contract.payload import rounded
from genrewatch.contract.vote import Verdict
from genrewatch.inference.pipeline import SegmentResult


def verdict_fields(verdict: Verdict) -> dict[str, Any]:
    """Return genre, reason, confidence, share, votes and segments."""
    return {
        "genre": verdict.genre,
        "reason": verdict.reason,
        "confidence": rounded(verdict.confidence),
        "share": rounded(verdict.share),
        "votes": verdict.votes,
        "segments": verdict.segments,
    }


def result_fields(result: SegmentResult) -> dict[str, Any]:
    """Return a segment's place in the stream, ballot, rolling verdict, level and loss, for files and live sources."""
    return {
        "start_s": rounded(result.start_s, 3),
        "end_s": rounded(result.end_s, 3),
        "label": result.ballot.label,
        "distance": rounded(result.ballot.distance, 3),
        **verdict_fields(result.verdict),
        **level_fields(result),
        "lost_s": rounded(result.lost_s, 3),
    }


def level_fields(result: SegmentResult) -> dict[str, Any]:
    """Return the level of the newest hop, dead air, and the bandwidth of the source."""
    level = result.level
    return {
        "level_dbfs": rounded(level.dbfs, 1),
        "peak_dbfs": rounded(level.peak_dbfs, 1),
        "clipped": rounded(level.clipped),
        "dc": rounded(level.dc),
        "dead_air": result.dead_air,
        "bandwidth_hz": result.bandwidth_hz,
    }


def mix_fields(mix: Mix | None) -> dict[str, Any]:
    """Return the number of channels and whether they cancel; None is one channel."""
    return {"channels": mix.channels if mix else 1, "phase": mix.phase if mix else "ok"}

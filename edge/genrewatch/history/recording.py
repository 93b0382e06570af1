"""Reading of recorded posteriors: the tables `streams` and `segments`."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from genrewatch.contract.decode import decode
from genrewatch.contract.errors import DataError
from genrewatch.contract.vote import VoteConfig
from genrewatch.history.database import database_errors
from genrewatch.history.posterior_buffer import PAST

PAGE = 1000
"""Segments read by one query."""


@dataclass(frozen=True, kw_only=True)
class RecordedStream:
    """A row of the table `streams`."""

    number: int
    source: str
    started: str
    model: str
    version: str
    labels: tuple[str, ...]
    vote: VoteConfig
    segment_samples: int


@dataclass(frozen=True, kw_only=True)
class RecordedSegment:
    """A row of the table `segments`: a segment and the verdict after it."""

    start: int
    end: int
    sample_rate: int
    lost: int
    label: str
    posterior: bytes | None
    verdict: dict[str, Any]
    past: dict[str, Any] | None = None
    """The smoother's verdict on its sound, see `posterior_buffer.past_fields`; None without a smoother."""


def recorded_streams(db: sqlite3.Connection) -> list[RecordedStream]:
    """Return the rows of the table `streams`, oldest first; raises Unavailable, Damaged or DataError."""
    query = "SELECT stream, source, started, model, version, labels, vote, segment_samples FROM streams ORDER BY stream"
    with database_errors():
        rows = db.execute(query).fetchall()
    return [
        RecordedStream(
            number=number,
            source=source,
            started=started,
            model=model,
            version=version,
            labels=tuple(_parse(labels, f"stream {number}")),
            vote=decode(VoteConfig, _parse(vote, f"stream {number}"), where=f"stream {number}", error=DataError),
            segment_samples=segment_samples,
        )
        for number, source, started, model, version, labels, vote, segment_samples in rows
    ]


def recorded_segments(db: sqlite3.Connection, stream: int) -> Iterator[RecordedSegment]:
    """Yield the segments of a stream in order; raises Unavailable, Damaged or DataError."""
    columns = "segment, start, end, sample_rate, lost, label, posterior, verdict"
    query = f"SELECT {columns} FROM segments WHERE stream = ? AND segment > ? ORDER BY segment LIMIT {PAGE}"
    after = 0
    while True:
        with database_errors():
            rows = db.execute(query, (stream, after)).fetchall()
        if not rows:
            return
        for number, start, end, sample_rate, lost, label, posterior, verdict in rows:
            fields = _parse(verdict, f"segment {number}")
            past = fields.pop(PAST, None) if isinstance(fields, dict) else None
            yield RecordedSegment(
                start=start,
                end=end,
                sample_rate=sample_rate,
                lost=lost,
                label=label,
                posterior=posterior,
                verdict=fields,
                past=past,
            )
        after = rows[-1][0]


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise DataError(where, "is not JSON") from None

"""The posteriors of the latest segments, a bounded number, from which verdicts can be derived again. No audio."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrewatch.contract.decode import encode
from genrewatch.contract.payload import rounded
from genrewatch.contract.vote import Verdict
from genrewatch.history.delayed_results import DelayedResult
from genrewatch.host.times import Timestamp, ms_to_rfc3339
from genrewatch.inference.json_fields import verdict_fields
from genrewatch.inference.pipeline import Pipeline

POSTERIOR_TYPE = np.dtype("<f4")
"""Type of a posterior's elements in the database."""


PAST = "past"
"""Key of a recorded verdict: what the history keeps of the segment, where that differs from what was published."""


def past_fields(verdict: Verdict, until: int) -> dict[str, Any]:
    """Return the smoother's verdict, and the end of the newest segment that it knew, samples."""
    return {
        "genre": verdict.genre,
        "reason": verdict.reason,
        "confidence": rounded(verdict.confidence),
        "share": rounded(verdict.share),
        "until": until,
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """One stream of a source, and the pipeline that turns its segments into verdicts."""

    source: str
    pipeline: Pipeline
    started: Timestamp


@dataclass(frozen=True, kw_only=True)
class StreamResult:
    """A segment's result, as the history keeps it, and the stream it belongs to."""

    stream: Stream
    delayed: DelayedResult


class PosteriorBuffer:
    """Ring buffer in the tables `streams` and `segments`; writes within the caller's transaction."""

    def __init__(self, db: sqlite3.Connection, rows: int) -> None:
        """`rows` is the maximum number of segments."""
        self._db, self._rows = db, rows
        self.numbers: dict[Stream, int] = {}
        """Row numbers of the stored streams. After a rollback the caller restores the earlier value."""

    def append(self, results: Sequence[StreamResult]) -> None:
        """Store results, oldest first, and delete as many of the oldest rows as are too many."""
        for result in results:
            self._insert(self._number(result.stream), result.delayed)
        if results:
            newest = self._db.execute("SELECT max(segment) FROM segments").fetchone()[0]
            self._db.execute("DELETE FROM segments WHERE segment <= ?", (newest - self._rows,))
            self._db.execute("DELETE FROM streams WHERE stream NOT IN (SELECT DISTINCT stream FROM segments)")
            remaining = {row[0] for row in self._db.execute("SELECT stream FROM streams")}
            self.numbers = {stream: number for stream, number in self.numbers.items() if number in remaining}

    def _insert(self, stream: int, delayed: DelayedResult) -> None:
        result = delayed.result
        posterior = result.ballot.posterior
        blob = None if posterior is None else posterior.astype(POSTERIOR_TYPE).tobytes()
        place = (result.start, result.end, result.sample_rate, result.lost)
        fields = verdict_fields(result.verdict)
        if delayed.until is not None:
            fields[PAST] = past_fields(delayed.past.verdict, delayed.until)
        verdict = json.dumps(fields, ensure_ascii=False)
        self._db.execute(
            "INSERT INTO segments (stream, start, end, sample_rate, lost, label, posterior, verdict)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (stream, *place, result.ballot.label, blob, verdict),
        )

    def _number(self, stream: Stream) -> int:
        """Return the row number of a stream; its row is inserted with its first segment."""
        if stream not in self.numbers:
            manifest, vote = stream.pipeline.manifest, stream.pipeline.vote
            names = (stream.source, ms_to_rfc3339(stream.started.utc_ms), manifest.name, manifest.version)
            settings = (json.dumps(manifest.labels), json.dumps(encode(vote)), manifest.front_end.segment_samples)
            cursor = self._db.execute(
                "INSERT INTO streams (source, started, model, version, labels, vote, segment_samples)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*names, *settings),
            )
            assert cursor.lastrowid
            self.numbers[stream] = cursor.lastrowid
        return self.numbers[stream]

"""Derives verdicts again from recorded posteriors, with the vote that the device itself holds, and compares.

Where the ring begins in the middle of a stream, what came before its first segment is unknown. A verdict can be judged
once it no longer matters: T ballots are in, and what is announced follows from them whatever was announced before.

    recorded lost    0    0  .. 9000 ..  9000    the sum of what is missing before a segment: one long gap, which
    vote             9    9               1      clears the vote, or several short ones, which do not: both are tried
"""

import json
import sqlite3
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genrewatch.contract.decode import decode
from genrewatch.contract.errors import DataError
from genrewatch.contract.vote import SILENCE, Ballot, MajorityVote, VoteConfig, majority
from genrewatch.history.database import judged
from genrewatch.history.ring import POSTERIOR_TYPE
from genrewatch.inference.hop_control import WidenWhenLate
from genrewatch.inference.json_fields import verdict_fields

PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class RecordedStream:
    """A source's stream, as the table `streams` has it."""

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
    """A segment and the verdict that was given after it, as the table `segments` has them."""

    start: int
    end: int
    sample_rate: int
    lost: int
    label: str
    posterior: bytes | None
    verdict: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """A verdict that is not the one that was recorded."""

    stream: RecordedStream
    segment: RecordedSegment
    derived: dict[str, Any]


@dataclass(kw_only=True)
class Outcome:
    """What became of one source's verdicts."""

    segments: int = 0
    agreeing: int = 0
    disagreeing: int = 0
    not_judgeable: int = 0
    first: list[Disagreement] = field(default_factory=list)
    """The first few."""

    FEW = 5

    def count(self, answer: Disagreement | bool | None) -> None:
        """Takes what `Judge.judge` has answered."""
        self.segments += 1
        if answer is None:
            self.not_judgeable += 1
        elif isinstance(answer, Disagreement):
            self.disagreeing += 1
            if len(self.first) < self.FEW:
                self.first.append(answer)
        else:
            self.agreeing += 1


class _Candidate:
    """A way in which the vote may have come to where it is."""

    def __init__(self, stream: RecordedStream, *, known: bool) -> None:
        """`known`: nothing had been heard before; else anything may have been."""
        self._config = stream.vote
        self._vote = MajorityVote(stream.vote, stream.labels)
        self._latest: deque[str] = deque(maxlen=stream.vote.segments)
        self._winner: str | None = None
        self._in_a_row = 0
        self.known = known

    def add(self, ballot: Ballot) -> dict[str, Any]:
        """The verdict after one more ballot, as it is recorded."""
        self._latest.append(ballot.label)
        verdict = verdict_fields(self._vote.add(ballot))
        if not self.known and len(self._latest) == self._config.segments:
            self._settle()
        return verdict

    def _settle(self) -> None:
        """Whatever was announced before, so many votes in a row with one result have replaced it."""
        winner = majority(Counter(self._latest), total=self._config.segments, min_share=self._config.min_share)
        self._in_a_row = self._in_a_row + 1 if self._in_a_row and winner == self._winner else 1
        self._winner = winner
        needed = self._config.exit_segments if winner is None else self._config.enter_segments
        self.known = self._in_a_row >= needed


class Judge:
    """Follows one stream, segment by segment."""

    def __init__(self, stream: RecordedStream) -> None:
        self._stream = stream
        self._before: RecordedSegment | None = None
        self._candidates: list[_Candidate] = []

    def judge(self, segment: RecordedSegment) -> Disagreement | bool | None:
        """True if the recorded verdict is the one that follows; None if that cannot be known."""
        self._move_to(segment)
        ballot = self._ballot(segment)
        derived = [(candidate, candidate.add(ballot)) for candidate in self._candidates]
        right = [c for c, verdict in derived if c.known and verdict == segment.verdict]
        unknown = [c for c, _ in derived if not c.known]
        if (right or unknown) and ballot.label == segment.label:
            self._candidates = right or unknown
            return True if right else None
        return Disagreement(stream=self._stream, segment=segment, derived={"label": ballot.label, **derived[0][1]})

    def _move_to(self, segment: RecordedSegment) -> None:
        before, self._before = self._before, segment
        if before is None:
            self._candidates = [_Candidate(self._stream, known=self._is_first(segment))]
            return
        lost = segment.lost - before.lost
        if lost > self._stream.segment_samples:
            self._candidates = [_Candidate(self._stream, known=True), *self._candidates]
        elif lost == 0 and segment.start - before.start > WidenWhenLate.WIDEST * self._stream.vote.segment_hop:
            self._candidates = [_Candidate(self._stream, known=False)]  # segments between them were not recorded

    def _is_first(self, segment: RecordedSegment) -> bool:
        """Whether too little sound came before it for a segment of its own."""
        return segment.start - segment.lost < self._stream.vote.segment_hop

    def _ballot(self, segment: RecordedSegment) -> Ballot:
        """What the segment voted, from its posterior alone."""
        if segment.posterior is None:
            return Ballot(label=SILENCE, posterior=None)
        found, expected = len(segment.posterior), len(self._stream.labels) * POSTERIOR_TYPE.itemsize
        if found != expected:
            where = f"stream {self._stream.number}, segment at {segment.start}"
            raise DataError(where, f"a posterior of {found} bytes", f"{expected}")
        posterior = np.frombuffer(segment.posterior, POSTERIOR_TYPE)
        return Ballot(label=self._stream.labels[int(posterior.argmax())], posterior=posterior)


def replay(db: sqlite3.Connection, sources: Sequence[str] = ()) -> dict[str, Outcome]:
    """Judges all that was recorded, or that of some sources; by source. Raises Unavailable, Damaged or DataError."""
    outcomes: dict[str, Outcome] = {}
    for stream in recorded_streams(db):
        if sources and stream.source not in sources:
            continue
        outcome, judge = outcomes.setdefault(stream.source, Outcome()), Judge(stream)
        for segment in recorded_segments(db, stream.number):
            outcome.count(judge.judge(segment))
    return outcomes


def recorded_streams(db: sqlite3.Connection) -> list[RecordedStream]:
    """What the table `streams` holds, oldest first."""
    query = "SELECT stream, source, started, model, version, labels, vote, segment_samples FROM streams ORDER BY stream"
    with judged():
        rows = db.execute(query).fetchall()
    return [
        RecordedStream(
            number=number,
            source=source,
            started=started,
            model=model,
            version=version,
            labels=tuple(_loaded(labels, f"stream {number}")),
            vote=decode(VoteConfig, _loaded(vote, f"stream {number}"), where=f"stream {number}", error=DataError),
            segment_samples=segment_samples,
        )
        for number, source, started, model, version, labels, vote, segment_samples in rows
    ]


def recorded_segments(db: sqlite3.Connection, stream: int) -> Iterator[RecordedSegment]:
    """The segments of a stream in order, read a page at a time."""
    columns = "segment, start, end, sample_rate, lost, label, posterior, verdict"
    query = f"SELECT {columns} FROM segments WHERE stream = ? AND segment > ? ORDER BY segment LIMIT {PAGE}"
    after = 0
    while True:
        with judged():
            rows = db.execute(query, (stream, after)).fetchall()
        if not rows:
            return
        for number, start, end, sample_rate, lost, label, posterior, verdict in rows:
            yield RecordedSegment(
                start=start,
                end=end,
                sample_rate=sample_rate,
                lost=lost,
                label=label,
                posterior=posterior,
                verdict=_loaded(verdict, f"segment {number}"),
            )
        after = rows[-1][0]


def _loaded(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise DataError(where, "is no JSON") from None

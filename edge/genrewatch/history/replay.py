"""Replay: verdicts derived again from recorded posteriors, with the vote of the device, and compared.

A recording can start in the middle of a stream; what came before its first segment is unknown. A verdict can be
compared once that no longer matters: T ballots are in, and the announced genre follows from them.

`lost` counts the missing samples before a segment as one sum. It is either one long gap, which clears the vote, or
several short ones, which do not. Both are tried.

A ballot `unknown` is taken from the record, since the features it depends on are not recorded; all else must follow.

    recorded lost    0    0  .. 9000 ..  9000
    ballots          9    9              1 (one gap) or 9 (several)
"""

import sqlite3
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genrewatch.contract.errors import DataError
from genrewatch.contract.out_of_set import counted
from genrewatch.contract.smoother import FilteredSegment
from genrewatch.contract.vote import UNKNOWN, Ballot, MajorityVote, Posterior, majority
from genrewatch.history.posterior_buffer import PAST, POSTERIOR_TYPE
from genrewatch.history.recast import RecordedCaster
from genrewatch.history.recording import RecordedSegment, RecordedStream, recorded_segments, recorded_streams
from genrewatch.history.replay_past import PastChecker
from genrewatch.inference.hop_control import WidenWhenLate
from genrewatch.inference.json_fields import verdict_fields


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """A derived verdict that differs from the recorded one."""

    stream: RecordedStream
    segment: RecordedSegment
    derived: dict[str, Any]


@dataclass(kw_only=True)
class Outcome:
    """Counts of one source's segments."""

    segments: int = 0
    agreeing: int = 0
    disagreeing: int = 0
    undecidable: int = 0
    past: int = 0
    """Verdicts of the smoother that could be derived."""
    past_disagreeing: int = 0
    first: list[Disagreement] = field(default_factory=list)
    """The first `FEW` disagreements."""

    FEW = 5

    def count(self, answer: Disagreement | bool | None) -> None:
        """Count a result of `VerdictChecker.check`."""
        self.segments += 1
        if answer is None:
            self.undecidable += 1
        elif isinstance(answer, Disagreement):
            self.disagreeing += 1
            self._keep(answer)
        else:
            self.agreeing += 1

    def count_past(self, answer: Disagreement | None) -> None:
        """Count a result of `VerdictChecker.past`."""
        self.past += 1
        if answer is not None:
            self.past_disagreeing += 1
            self._keep(answer)

    def _keep(self, answer: Disagreement) -> None:
        if len(self.first) < self.FEW:
            self.first.append(answer)


class _VoteHypothesis:
    """One possible past of the vote."""

    def __init__(self, stream: RecordedStream, *, known: bool) -> None:
        """`known`: the stream had no earlier segments; else it may have had any."""
        self._config = stream.vote
        self._vote = MajorityVote(stream.vote, stream.labels)
        self._latest: deque[str] = deque(maxlen=stream.vote.segments)
        self._winner: str | None = None
        self._in_a_row = 0
        self.known = known

    def add(self, ballot: Ballot) -> dict[str, Any]:
        """Add a ballot and return the fields of the verdict."""
        self._latest.append(ballot.label)
        verdict = verdict_fields(self._vote.add(ballot))
        if not self.known and len(self._latest) == self._config.segments:
            self._count_in_a_row()
        return verdict

    def _count_in_a_row(self) -> None:
        """Note when enough votes in a row had one result: then it is announced, whatever was announced before."""
        winner = majority(Counter(self._latest), total=self._config.segments, min_share=self._config.min_share)
        self._in_a_row = self._in_a_row + 1 if self._in_a_row and winner == self._winner else 1
        self._winner = winner
        needed = self._config.exit_segments if winner is None else self._config.enter_segments
        self.known = self._in_a_row >= needed


class VerdictChecker:
    """Derives the verdicts of one stream, segment by segment, and compares them."""

    def __init__(self, stream: RecordedStream) -> None:
        self._stream = stream
        self._previous: RecordedSegment | None = None
        self._hypotheses: list[_VoteHypothesis] = []
        self._caster: RecordedCaster
        self._past: PastChecker
        self.past: list[Disagreement | None] = []
        """Of each verdict of the smoother that the newest segment made derivable: None if it is the recorded one."""

    def check(self, segment: RecordedSegment) -> Disagreement | bool | None:
        """Return True if the recorded verdict follows from the posteriors, None if that cannot be decided."""
        self._update_hypotheses(segment)
        ballot = self._caster.cast(self._posterior(segment), segment.start)
        self._check_past(segment)
        far = self._stream.vote.unknown and segment.label == UNKNOWN  # the features are not recorded
        ballot = counted(ballot, distance=None, far=far)
        if not self._caster.known:
            self._hypotheses = [_VoteHypothesis(self._stream, known=False)]
            return None
        derived = [(hypothesis, hypothesis.add(ballot)) for hypothesis in self._hypotheses]
        right = [h for h, verdict in derived if h.known and verdict == segment.verdict]
        unknown = [h for h, _ in derived if not h.known]
        if (right or unknown) and ballot.label == segment.label:
            self._hypotheses = right or unknown
            return True if right else None
        return Disagreement(stream=self._stream, segment=segment, derived={"label": ballot.label, **derived[0][1]})

    def _check_past(self, segment: RecordedSegment) -> None:
        state, filtered = self._caster.state, None
        if state is not None:
            posterior = self._posterior(segment)
            filtered = FilteredSegment(start=segment.start, end=segment.end, posterior=posterior, state=state)
        self.past = [
            None if past == each.past else Disagreement(stream=self._stream, segment=each, derived={PAST: past})
            for each, past in self._past.check(segment, filtered)
        ]

    def _update_hypotheses(self, segment: RecordedSegment) -> None:
        previous, self._previous = self._previous, segment
        if previous is None:
            self._begin(segment, known=self._is_first(segment))
            return
        lost = segment.lost - previous.lost
        if lost > self._stream.segment_samples:
            self._hypotheses = [_VoteHypothesis(self._stream, known=True), *self._hypotheses]
        elif lost == 0 and segment.start - previous.start > WidenWhenLate.WIDEST * self._stream.vote.segment_hop:
            self._begin(segment, known=False)  # segments in between were not recorded

    def _begin(self, segment: RecordedSegment, *, known: bool) -> None:
        self._hypotheses = [_VoteHypothesis(self._stream, known=known)]
        self._caster = RecordedCaster(self._stream, segment, known=known)
        self._past = PastChecker(self._stream, segment.sample_rate)

    def _is_first(self, segment: RecordedSegment) -> bool:
        """Return whether too little sound came before the segment for an earlier one."""
        return segment.start - segment.lost < self._stream.vote.segment_hop

    def _posterior(self, segment: RecordedSegment) -> Posterior | None:
        """Return the segment's posterior, None for silence."""
        if segment.posterior is None:
            return None
        found, expected = len(segment.posterior), len(self._stream.labels) * POSTERIOR_TYPE.itemsize
        if found != expected:
            where = f"stream {self._stream.number}, segment at {segment.start}"
            raise DataError(where, f"a posterior of {found} bytes", f"{expected}")
        return np.frombuffer(segment.posterior, POSTERIOR_TYPE)


def replay(db: sqlite3.Connection, sources: Sequence[str] = ()) -> dict[str, Outcome]:
    """Check all recorded verdicts, or those of some sources; returns the outcome by source.

    Raises Unavailable, Damaged or DataError.
    """
    outcomes: dict[str, Outcome] = {}
    for stream in recorded_streams(db):
        if sources and stream.source not in sources:
            continue
        outcome, checker = outcomes.setdefault(stream.source, Outcome()), VerdictChecker(stream)
        for segment in recorded_segments(db, stream.number):
            outcome.count(checker.check(segment))
            for answer in checker.past:
                outcome.count_past(answer)
    return outcomes

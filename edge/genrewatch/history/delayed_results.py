"""Results of a stream, kept back for some seconds, so that the history has the smoother's verdict on each.

lag_s = 0     a result as it is, at once
lag_s = 15    its verdict with the knowledge of the 15 s after it; at the end of the sound with what there is
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from genrewatch.contract.out_of_set import counted
from genrewatch.contract.smoother import FixedLagSmoother, PastBallot, past_verdict
from genrewatch.contract.vote import UNKNOWN
from genrewatch.host.times import Timestamp
from genrewatch.inference.pipeline import Pipeline, SegmentResult


@dataclass(frozen=True, kw_only=True)
class DelayedResult:
    """A result with what the history keeps of it."""

    result: SegmentResult
    """As the pipeline gave it."""
    past: SegmentResult
    """The same with the smoother's verdict; `result` itself without a smoother."""
    until: int | None
    """End of the newest segment that the smoother knew, samples; None without a smoother."""
    at: Timestamp
    """Time at which the result came."""

    def without_features(self) -> "DelayedResult":
        """Return it as the posteriors' buffer keeps it."""
        result, past = (replace(each, features=None) for each in (self.result, self.past))
        return replace(self, result=result, past=past)


class DelayedResults:
    """The newest results of one stream."""

    def __init__(self, pipeline: Pipeline, lag_s: float) -> None:
        """`lag_s` applies where the vote has a filter."""
        self._vote, self._labels = pipeline.vote, pipeline.manifest.labels
        sample_rate = pipeline.manifest.front_end.sample_rate
        smoothed = lag_s > 0 and pipeline.vote.filter == "hmm"
        self._smoother = FixedLagSmoother(self._vote, self._labels, sample_rate, lag_s) if smoothed else None
        self._kept: deque[tuple[SegmentResult, Timestamp]] = deque()

    def push(self, result: SegmentResult, at: Timestamp) -> Iterator[DelayedResult]:
        """Add a result and yield those that are due, oldest first."""
        if self._smoother is None:
            yield DelayedResult(result=result, past=result, until=None, at=at)
            return
        self._kept.append((result, at))
        yield from map(self._oldest, self._smoother.push(result.ballot.posterior, result.start, result.end))

    def flush(self) -> Iterator[DelayedResult]:
        """Yield all that are kept back, oldest first: no more sound follows them for now."""
        if self._smoother is not None:
            yield from map(self._oldest, self._smoother.flush())

    def _oldest(self, past: PastBallot) -> DelayedResult:
        middle, _ = self._kept[past.place]
        result, at = self._kept.popleft()
        far = middle.ballot.label == UNKNOWN
        ballot = counted(past.ballot, distance=result.ballot.distance, far=far)
        verdict = past_verdict(ballot, self._labels, self._vote)
        smoothed = replace(result, verdict=verdict, ballot=ballot, dead_air=middle.dead_air)
        return DelayedResult(result=result, past=smoothed, until=past.until, at=at)

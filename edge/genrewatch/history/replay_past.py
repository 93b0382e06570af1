"""Replay of the smoother: the verdicts that the history keeps, derived again from the recorded posteriors.

A recorded segment names the newest segment that the smoother knew, so each can be derived as soon as that one is read.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from genrewatch.contract.filter import LabelChain
from genrewatch.contract.out_of_set import counted
from genrewatch.contract.smoother import MAX_WINDOW, FilteredSegment, centred, past_ballot, past_verdict
from genrewatch.contract.vote import UNKNOWN
from genrewatch.history.posterior_buffer import past_fields
from genrewatch.history.recording import RecordedSegment, RecordedStream


@dataclass(frozen=True, kw_only=True)
class _Kept:
    segment: RecordedSegment
    filtered: FilteredSegment | None
    """None while the filter's state is not known."""


class PastChecker:
    """Compares the smoother's verdicts of a stretch of recorded segments."""

    def __init__(self, stream: RecordedStream, sample_rate: int) -> None:
        self._stream = stream
        self._chain = LabelChain(stream.vote, len(stream.labels), sample_rate)
        self._kept: deque[_Kept] = deque(maxlen=MAX_WINDOW + 1)

    def check(
        self, segment: RecordedSegment, filtered: FilteredSegment | None
    ) -> Iterator[tuple[RecordedSegment, dict[str, Any]]]:
        """Add the next segment, and yield each one whose verdict can now be derived, with that verdict's fields."""
        self._kept.append(_Kept(segment=segment, filtered=filtered))
        while self._kept and (until := _until(self._kept[0].segment)) <= segment.end:
            known = [kept for kept in self._kept if kept.segment.end <= until]
            window, labels = [kept.filtered for kept in known], [kept.segment.label for kept in known]
            oldest = self._kept.popleft().segment
            if oldest.past is not None and None not in window:
                yield oldest, self._derived([each for each in window if each is not None], labels)

    def _derived(self, window: list[FilteredSegment], labels: list[str]) -> dict[str, Any]:
        if not window:
            return {"until": None}
        far = self._stream.vote.unknown and labels[centred(window)] == UNKNOWN  # see `genrewatch.history.replay`
        ballot = counted(past_ballot(window, self._chain, self._stream.labels), distance=None, far=far)
        verdict = past_verdict(ballot, self._stream.labels, self._stream.vote)
        return past_fields(verdict, window[-1].end)


def _until(segment: RecordedSegment) -> int:
    """Return the end of the newest segment that is needed; of one without a verdict of the smoother, its own."""
    until = segment.past.get("until") if isinstance(segment.past, dict) else None
    return until if isinstance(until, int) else segment.end

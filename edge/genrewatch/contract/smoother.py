"""Verdicts on the past of a stream: the filter's states with the knowledge of the segments that followed.

A fixed-lag smoother: forward and backward pass (Rabiner 1989, eqs. 24 to 27) over the segments of the last seconds.

    segments         |----- a -----|
                         |----- b -----|
                             |----- c -----|
    sound of a                 ####                in the middle of b, whose state, given a to c, is the verdict on it

A segment is several times as long as its hop, so the sound that it brought is in the middle of a later one.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from genrewatch.contract.filter import ForwardFilter, LabelChain, State, filtered_ballot
from genrewatch.contract.vote import UNKNOWN, Ballot, Posterior, Verdict, VoteConfig, clip_verdict

MAX_WINDOW = 64
"""Segments that wait at most, which bounds memory and work where the hop is short."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FilteredSegment:
    """A segment and the state of the forward filter after it."""

    start: int
    end: int
    """Samples from the start of the stream, gaps included; one past the last."""
    posterior: Posterior | None
    """(n_labels,) the network's; None for a silent segment."""
    state: State


@dataclass(frozen=True, kw_only=True)
class PastBallot:
    """The ballot on the sound that a segment brought."""

    ballot: Ballot
    place: int
    """Number of segments from it to the one in whose middle this sound is."""
    until: int
    """End of the newest segment that was known, samples."""


class FixedLagSmoother:
    """Ballots on the past of one stream: of each segment once `lag_s` of later sound are known, in order."""

    def __init__(self, config: VoteConfig, labels: Sequence[str], sample_rate: int, lag_s: float) -> None:
        self._chain, self._labels = LabelChain(config, len(labels), sample_rate), tuple(labels)
        self._forward, self._lag = ForwardFilter(self._chain), round(lag_s * sample_rate)
        self._window: deque[FilteredSegment] = deque()

    def push(self, posterior: Posterior | None, start: int, end: int) -> Iterator[PastBallot]:
        """Add a segment, see `ForwardFilter.update`, and yield the ballots that are due."""
        state = self._forward.update(posterior, start)
        self._window.append(FilteredSegment(start=start, end=end, posterior=posterior, state=state))
        while end - self._window[0].end >= self._lag or len(self._window) > MAX_WINDOW:
            yield self._oldest()
            if not self._window:
                break

    def flush(self) -> Iterator[PastBallot]:
        """Yield the ballots on all that is left: no more sound follows it for now."""
        while self._window:
            yield self._oldest()

    def _oldest(self) -> PastBallot:
        window = list(self._window)
        self._window.popleft()
        ballot = past_ballot(window, self._chain, self._labels)
        return PastBallot(ballot=ballot, place=centred(window), until=window[-1].end)


def centred(window: Sequence[FilteredSegment]) -> int:
    """Return the place in the window of the last segment whose middle is not after that of the first one's last hop."""
    hop = window[1].start - window[0].start if len(window) > 1 else 0
    place, twice_middle = 0, 2 * window[0].end - hop
    while place + 1 < len(window) and window[place + 1].start + window[place + 1].end <= twice_middle:
        place += 1
    return place


def past_ballot(window: Sequence[FilteredSegment], chain: LabelChain, labels: Sequence[str]) -> Ballot:
    """Return the ballot on the sound that the first segment brought, given all segments of the window."""
    place, message = centred(window), np.ones(chain.n_states)
    for i in range(len(window) - 1, place, -1):
        elapsed = window[i].start - window[i - 1].start
        message = chain.backward(message, chain.likelihood(window[i].posterior), elapsed)
    smoothed = window[place].state * message
    return filtered_ballot(window[place].posterior, smoothed / smoothed.sum(), labels)


def past_verdict(ballot: Ballot, labels: Sequence[str], config: VoteConfig) -> Verdict:
    """Return the label of a ballot where that has the majority of the probability, as votes need it, else refused.

    `share` is this probability.
    """
    share = 1.0 if ballot.filtered is None else float(ballot.filtered.max())
    verdict = clip_verdict([ballot], labels, sharpness=config.sharpness_used)
    if ballot.label == UNKNOWN or (share > 0.5 and share >= config.min_share):
        return replace(verdict, share=share)
    return replace(verdict, genre=None, reason="refused", share=share, confidence=None)

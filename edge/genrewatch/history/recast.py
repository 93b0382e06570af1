"""Ballots of a recorded stream, derived from its posteriors with the filter that its header names."""

import numpy as np

from genrewatch.contract.filter import ForwardFilter, LabelChain, State, filtered_ballot, segment_ballot
from genrewatch.contract.vote import Ballot, Posterior
from genrewatch.history.recording import RecordedSegment, RecordedStream


class RecordedCaster:
    """Ballots of a stretch of recorded segments.

    Where the stretch begins in the middle of a stream, the filter is followed from every state that it can have been
    in. Once all of them have led to the same state, earlier segments no longer matter: any other state is a mixture of
    these, so it has led there too.
    """

    SAME = 1e-12
    """Largest difference of a probability between states that count as the same."""

    def __init__(self, stream: RecordedStream, first: RecordedSegment, *, known: bool) -> None:
        """`known`: `first` is the first segment of the stream."""
        self._labels = stream.labels
        self._filters: list[ForwardFilter] = []
        self.state: State | None = None
        """State of the filter after the newest segment; None without a filter, or while it is not known."""
        if stream.vote.filter == "none":
            return
        chain = LabelChain(stream.vote, len(stream.labels), first.sample_rate)
        if known:
            self._filters = [ForwardFilter(chain)]
            return
        start = first.start - stream.vote.segment_hop  # of the latest segment that can have been before it
        self._filters = [ForwardFilter(chain, state=state, start=start) for state in np.eye(chain.n_states)]

    @property
    def known(self) -> bool:
        """True once the ballots do not depend on what came before the first segment."""
        return len(self._filters) <= 1

    def cast(self, posterior: Posterior | None, start: int) -> Ballot:
        """Return the ballot of the next segment; see `ForwardFilter.update`."""
        if not self._filters:
            return segment_ballot(posterior, self._labels)
        states = np.stack([one.update(posterior, start) for one in self._filters])
        if np.ptp(states, axis=0).max() < self.SAME:
            del self._filters[1:]
        self.state = states[0] if self.known else None
        return filtered_ballot(posterior, states[0], self._labels)

"""The forward filter under the vote: what is playing now, given every segment so far.

A hidden Markov model whose states are the labels and silence (Rabiner, "A tutorial on hidden Markov models", 1989,
eqs. 19 to 21: the forward pass, normalised at each step).

    predicted   p' = u + exp(-elapsed / tau) (p - u)     u: uniform; aged by the time since the previous segment
    updated     p ~ p' posterior ** segment_weight       a silent segment: all of p on silence
    ballot      the state with the largest p

Silence is measured by the level gate, so it is observed exactly: a silent segment puts the filter into silence, and
what was playing before it is discarded. A state is left at a rate of 1 / expected_duration_s for any of the others
alike. Ageing depends on elapsed time only: two hops age the filter as one hop twice as wide, and a gap by its length.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.vote import SILENCE, Ballot, Posterior, VoteConfig

State = NDArray[np.float64]
"""(n_labels + 1,) probabilities of the labels and, last, of silence; sum 1."""


class ForwardFilter:
    """Forward pass of one stream; its memory is one `State` and the position of one segment."""

    def __init__(
        self,
        config: VoteConfig,
        n_labels: int,
        sample_rate: int,
        *,
        state: State | None = None,
        start: int | None = None,
    ) -> None:
        """`state` is that of the segment at `start` (samples); without them all states are equally probable."""
        self._weight, self._n_states = config.segment_weight, n_labels + 1
        self._tau = config.expected_duration_s * sample_rate * n_labels / self._n_states  # samples
        self._state = np.full(self._n_states, 1 / self._n_states) if state is None else state
        self._start = start

    def update(self, posterior: Posterior | None, start: int) -> State:
        """Return the state after a segment.

        `posterior` (n_labels,) is the network's, None for a silent segment; `start` is the segment's first sample,
        counted from the start of the stream, gaps included.
        """
        if posterior is None:
            self._state = np.eye(1, self._n_states, self._n_states - 1)[0]
        else:
            updated = self._predicted(start)
            updated[:-1] *= posterior.astype(np.float64) ** self._weight
            updated[-1] = 0
            self._state = updated / updated.sum()
        self._start = start
        return self._state

    def _predicted(self, start: int) -> State:
        """Return the state aged by the time since the previous segment."""
        if self._start is None:
            return self._state.copy()
        kept = math.exp((self._start - start) / self._tau)
        return (1 - kept) / self._n_states + kept * self._state


class Caster:
    """Ballots of one stream: of each segment by itself, or through the forward filter."""

    def __init__(self, config: VoteConfig, labels: Sequence[str], sample_rate: int) -> None:
        self._labels = tuple(labels)
        self._filter = ForwardFilter(config, len(labels), sample_rate) if config.filter == "hmm" else None

    def cast(self, posterior: Posterior | None, start: int) -> Ballot:
        """Return the ballot of a segment; see `ForwardFilter.update`."""
        if self._filter is None:
            return segment_ballot(posterior, self._labels)
        return filtered_ballot(posterior, self._filter.update(posterior, start), self._labels)


def segment_ballot(posterior: Posterior | None, labels: Sequence[str]) -> Ballot:
    """Return the ballot of a segment by itself: top1 of its posterior (n_labels,), or silence."""
    label = SILENCE if posterior is None else labels[int(posterior.argmax())]
    return Ballot(label=label, posterior=posterior)


def filtered_ballot(posterior: Posterior | None, state: State, labels: Sequence[str]) -> Ballot:
    """Return the ballot of the filter's state after a segment; `posterior` is the segment's own."""
    if posterior is None:
        return segment_ballot(None, labels)
    filtered = state[:-1].astype(np.float32)
    return Ballot(label=labels[int(state[:-1].argmax())], posterior=posterior, filtered=filtered)

"""The filter under the vote: the probability of each label, given other segments too.

A hidden Markov model whose states are the labels and silence (Rabiner, "A tutorial on hidden Markov models", 1989): the
forward pass (eqs. 19 to 21) of a stream, forward and backward (eqs. 24 to 27) over a clip, normalised at each step.

    aged        p' = u + exp(-elapsed / tau) (p - u)     u: uniform; elapsed: from segment to segment
    updated     p ~ p' posterior ** segment_weight       a silent segment: all of p on silence
    ballot      the state with the largest p

Silence is measured by the level gate, so it is observed exactly: a silent segment puts the filter into silence, and
what was playing before it is discarded. A state is left at a rate of 1 / expected_duration_s, for any of the others
alike. Ageing depends on elapsed time only: two hops age the filter as one hop twice as wide, and a gap by its length.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.vote import SILENCE, Ballot, Posterior, VoteConfig

State = NDArray[np.float64]
"""(n_labels + 1,) probabilities of the labels and, last, of silence; sum 1."""


class LabelChain:
    """Transitions and likelihoods of the hidden Markov model."""

    def __init__(self, config: VoteConfig, n_labels: int, sample_rate: int) -> None:
        self.n_states = n_labels + 1
        self._weight = config.segment_weight
        # a state is left at the rate (1 - 1 / n_states) / tau
        self._tau = config.expected_duration_s * sample_rate * n_labels / self.n_states  # samples

    def aged(self, state: State, elapsed: int) -> State:
        """Return the state `elapsed` samples later; the transitions are symmetric, so it serves both directions."""
        kept = math.exp(-elapsed / self._tau)
        aged: State = (1 - kept) / self.n_states * state.sum() + kept * state
        return aged

    def backward(self, message: State, likelihood: State, elapsed: int) -> State:
        """Return the message of a segment to the one `elapsed` samples before it (eq. 25), normalised."""
        earlier = self.aged(message * likelihood, elapsed)
        earlier /= earlier.sum()
        return earlier

    def likelihood(self, posterior: Posterior | None) -> State:
        """Return the (n_labels + 1,) likelihood of a segment; not normalised."""
        likelihood = np.zeros(self.n_states)
        if posterior is None:
            likelihood[-1] = 1
        else:
            likelihood[:-1] = posterior.astype(np.float64) ** self._weight
        return likelihood


class ForwardFilter:
    """Forward pass of one stream; its memory is one `State` and the position of one segment."""

    def __init__(self, chain: LabelChain, *, state: State | None = None, start: int | None = None) -> None:
        """`state` is that of the segment at `start` (samples); without them all states are equally probable."""
        self._chain, self._start = chain, start
        self._state = np.full(chain.n_states, 1 / chain.n_states) if state is None else state

    def update(self, posterior: Posterior | None, start: int) -> State:
        """Return the state after a segment.

        `posterior` (n_labels,) is the network's, None for a silent segment; `start` is the segment's first sample,
        counted from the start of the stream, gaps included.
        """
        elapsed = 0 if self._start is None else start - self._start
        updated = self._chain.aged(self._state, elapsed) * self._chain.likelihood(posterior)
        self._state, self._start = updated / updated.sum(), start
        return self._state


def smoothed_states(
    posteriors: Sequence[Posterior | None], starts: Sequence[int], chain: LabelChain
) -> NDArray[np.float64]:
    """Return the (n_segments, n_labels + 1) states of a clip, each given all segments; see `ForwardFilter.update`."""
    forward = ForwardFilter(chain)
    states = np.stack([forward.update(posterior, start) for posterior, start in zip(posteriors, starts, strict=True)])
    message = np.ones(chain.n_states)
    for i in range(len(states) - 2, -1, -1):
        message = chain.backward(message, chain.likelihood(posteriors[i + 1]), starts[i + 1] - starts[i])
        states[i] *= message
        states[i] /= states[i].sum()
    return states


class Caster:
    """Ballots of one stream: of each segment by itself, or through the forward filter."""

    def __init__(self, config: VoteConfig, labels: Sequence[str], sample_rate: int) -> None:
        self._labels = tuple(labels)
        chain = LabelChain(config, len(labels), sample_rate)
        self._filter = ForwardFilter(chain) if config.filter == "hmm" else None

    def cast(self, posterior: Posterior | None, start: int) -> Ballot:
        """Return the ballot of a segment; see `ForwardFilter.update`."""
        if self._filter is None:
            return segment_ballot(posterior, self._labels)
        return filtered_ballot(posterior, self._filter.update(posterior, start), self._labels)


def clip_ballots(
    posteriors: Sequence[Posterior | None],
    starts: Sequence[int],
    labels: Sequence[str],
    config: VoteConfig,
    sample_rate: int,
) -> list[Ballot]:
    """Return the ballots of a whole clip: of each segment by itself, or smoothed over all of them."""
    if config.filter == "none" or not posteriors:
        return [segment_ballot(posterior, labels) for posterior in posteriors]
    states = smoothed_states(posteriors, starts, LabelChain(config, len(labels), sample_rate))
    return [filtered_ballot(posterior, state, labels) for posterior, state in zip(posteriors, states, strict=True)]


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

"""The pre-filter: takes off what lies below the music (a constant offset, drift, rumble) before the front end.

A Butterworth high-pass of order 6. Device and trainer use this same code. It computes blocks of a fixed number of
samples, counted from the start of the stream, so its output does not depend on how its input is cut.

    first `n_hold` samples   backward filter ====\\___      it has no transient at the start, the forward filter none
                             forward filter   ___/====...  after it; the output goes over from one to the other
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.front_end import Samples

ORDER = 6
CUTOFF_HZ = 24.0
"""-3 dB; -36 dB at half of it, -0.3 dB at 30 Hz."""
HOLD_S = 0.37
"""Seconds of sound that are held back once, at the start, for the backward filter; rounded up to whole blocks."""
FADE = (3 / 8, 5 / 8)  # of the held sound: by then the transient of either filter is below -50 dB
GROUP, GROUPS = 32, 64
BLOCK = GROUP * GROUPS
"""Samples that are filtered in one call."""
PAIRS = ORDER // 2


class HighPass:
    """The filter of one unbroken stream; make a new one after a gap."""

    def __init__(self, sample_rate: int) -> None:
        self._tables = _tables(sample_rate)
        self._n_hold = BLOCK * -(-round(HOLD_S * sample_rate) // BLOCK)
        self._started = False
        self._waiting: list[Samples] = []
        self._n_waiting = 0
        self._offset = np.float64(0)  # mean of the held sound, so that the forward filter starts near its steady state
        self._forward = _Recursion(self._tables)

    def push(self, samples: Samples, *, last: bool = False) -> Samples:
        """Return the filtered samples that are ready: all but the start and an unfinished block; `last` flushes them.

        A sample that is not finite counts as 0.
        """
        samples = np.asarray(samples, np.float32)
        if not np.isfinite(samples).all():
            samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        self._waiting.append(samples)
        self._n_waiting += len(samples)
        if self._n_waiting < (BLOCK if self._started else self._n_hold) and not last:
            return samples[:0]
        sound = np.concatenate(self._waiting)
        ready = len(sound) if last else len(sound) - len(sound) % BLOCK
        self._waiting, self._n_waiting = [sound[ready:].copy()], len(sound) - ready  # a view would keep all of `sound`
        return self._filtered(sound[:ready])

    def _filtered(self, sound: Samples) -> Samples:
        if self._started:
            return self._forward.push(sound - self._offset).astype(np.float32)
        self._started = True
        return np.concatenate([self._start(sound[: self._n_hold]), self._filtered(sound[self._n_hold :])])

    def _start(self, sound: Samples) -> Samples:
        """Filter the held sound both ways."""
        if not len(sound):
            return sound
        self._offset = sound.mean(dtype=np.float64)
        centred = sound - self._offset
        forward, backward = self._forward.push(centred), _Recursion(self._tables).push(centred[::-1])[::-1]
        first, end = (round(share * len(sound)) for share in FADE)
        weight = np.clip((np.arange(len(sound)) - first) / max(1, end - first), 0, 1)
        return (weight * forward + (1 - weight) * backward).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """H(z) as direct + 2 Re sum of gain / (1 - pole / z), as matrices over a group of samples."""

    samples: NDArray[np.float64]
    """(GROUP, GROUP + 2 PAIRS): a group's samples to its output from zero state, and to the state after it."""
    state: NDArray[np.float64]
    """(2 PAIRS, GROUP): the state before a group to its output; real and imaginary parts alternate."""
    growth: NDArray[np.complex128]
    """(GROUPS + 1, PAIRS): pole ** GROUP to the powers of 0 to GROUPS."""


class _Recursion:
    """s[n] = pole * s[n - 1] + x[n] for one pole of each pair, in groups of samples."""

    def __init__(self, tables: _Tables) -> None:
        self._tables = tables
        self._state = np.zeros(PAIRS, np.complex128)

    def push(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """Filter (n,) samples; only the last piece of a stream may have an unfinished block."""
        n = len(samples)
        if n % BLOCK:
            samples = np.concatenate([samples, np.zeros(-n % BLOCK)])
        out = np.empty(len(samples))
        for start in range(0, len(samples), BLOCK):
            block = self._block(samples[start : start + BLOCK].reshape(GROUPS, GROUP))
            out[start : start + BLOCK] = block.reshape(-1)
        return out[:n]

    def _block(self, block: NDArray[np.float64]) -> NDArray[np.float64]:
        """Filter (GROUPS, GROUP) samples: always the same shapes, because rounding depends on them."""
        tables = self._tables
        products = block @ tables.samples
        sums = np.empty((GROUPS + 1, PAIRS), np.complex128)
        sums[0] = self._state
        sums[1:] = np.ascontiguousarray(products[:, GROUP:]).view(np.complex128)
        sums[1:] /= tables.growth[1:]
        states = np.cumsum(sums, axis=0) * tables.growth  # before each group, and after the last one
        self._state = states[-1]
        filtered: NDArray[np.float64] = states[:-1].view(np.float64) @ tables.state
        filtered += products[:, :GROUP]
        return filtered


@lru_cache(maxsize=8)
def _tables(sample_rate: int) -> _Tables:
    direct, gains, poles = _partial_fractions(sample_rate)
    powers = poles ** np.arange(GROUP + 1)[:, None]  # (GROUP + 1, PAIRS)
    response = 2 * (gains * powers[:-1]).sum(axis=1).real
    response[0] += direct
    lags = np.subtract.outer(np.arange(GROUP), np.arange(GROUP)).T
    to_output = np.where(lags >= 0, response[np.abs(lags)], 0)
    to_state = np.ascontiguousarray(powers[GROUP - 1 :: -1]).view(np.float64)
    from_state = gains * powers[1:]
    return _Tables(
        samples=np.concatenate([to_output, to_state], axis=1),
        state=np.stack([2 * from_state.real, -2 * from_state.imag], axis=2).reshape(GROUP, -1).T.copy(),
        growth=powers[GROUP] ** np.arange(GROUPS + 1)[:, None],
    )


def _partial_fractions(sample_rate: int) -> tuple[float, NDArray[np.complex128], NDArray[np.complex128]]:
    """Design the filter by the bilinear transform (Oppenheim and Schafer, Discrete-Time Signal Processing, 7.1).

    Returns the direct gain, and gain and pole of one of each conjugate pair.
    """
    warped = 2 * sample_rate * np.tan(np.pi * CUTOFF_HZ / sample_rate)
    analog = warped * np.exp(1j * np.pi * (2 * np.arange(ORDER) + ORDER + 1) / (2 * ORDER))
    poles = (2 * sample_rate + analog) / (2 * sample_rate - analog)
    level = float(np.prod(2 * sample_rate / (2 * sample_rate - analog)).real)
    others = [np.delete(poles, k) for k in range(ORDER)]
    residues = np.array([(pole - 1) ** ORDER / np.prod(pole - rest) for pole, rest in zip(poles, others, strict=True)])
    gains = level * residues / poles
    upper = poles.imag > 0
    return level - float(gains.sum().real), gains[upper], poles[upper]

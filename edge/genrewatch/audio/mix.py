"""Channels to mono. Channels that cancel each other, and dead ones, are noticed and left out.

The mean of all channels is used while it carries the sound. It does not where channels are in antiphase (a swapped
wire, a balanced plug in a stereo socket): then the loudest channel is used. A dead channel takes no part in the mean.
Findings are made on windows counted from the start of the stream, and change what follows only, so the output does not
depend on how its input is cut.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.front_end import Samples

Channel = Literal["auto", "left", "right", "mix"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
Phase = Literal["ok", "antiphase"]
WINDOW_S = 0.25
EVERY = 4
"""Distance of the samples in a window that findings are made on: power needs no more of them."""
STEADY = 12
"""Windows in a row that must agree before a finding changes, 3 s; the first finding needs one window with sound."""
CANCELLED, RECOVERED = 0.25, 0.5
"""Power of the mean, relative to that of the mean of as many independent channels, below which channels cancel, and
above which they no longer do."""
DEAD = 1e-4
"""Power relative to the loudest channel, below which a channel is dead, -40 dB."""
QUIET = 1e-7
"""Power of the loudest channel, below which nothing can be found, -70 dBFS."""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """The present way of mixing the channels of a stream."""

    channels: int
    """Channels of the source."""
    phase: Phase
    """`antiphase`: the channels cancel each other."""
    dead: tuple[int, ...]
    """Channels without sound while others have some, counted from 0."""
    used: tuple[int, ...]
    """Channels whose mean is taken."""


class Mixer:
    """Mixes one stream."""

    def __init__(self, channels: int, rate: int, channel: Channel = "auto") -> None:
        everything = tuple(range(channels))
        used = {"left": everything[:1], "right": everything[1:2] or everything}.get(channel, everything)
        self.mix = Mix(channels=channels, phase="ok", dead=(), used=used)
        self._automatic = channel == "auto" and channels > 1
        self._n_window = max(1, round(WINDOW_S * rate))
        self._window: list[NDArray[np.float32]] = []
        self._n_collected = self._n_agreed = 0
        self._found: Mix | None = None  # in the last windows
        self._first = True

    def push(self, samples: NDArray[np.float32]) -> Samples:
        """Mix (n, channels) samples to (n,)."""
        if not self._automatic:
            return _mean(samples, self.mix.used)
        pieces = []
        while len(samples):
            piece = samples[: self._n_window - self._n_collected]
            samples = samples[len(piece) :]
            pieces.append(_mean(piece, self.mix.used))
            self._collect(piece)
        return np.concatenate(pieces) if pieces else np.empty(0, np.float32)

    def _collect(self, piece: NDArray[np.float32]) -> None:
        self._window.append(piece)
        self._n_collected += len(piece)
        if self._n_collected == self._n_window:
            found = _find(np.concatenate(self._window), self.mix)
            self._window, self._n_collected = [], 0
            if found is not None:
                self._decide(found)

    def _decide(self, found: Mix) -> None:
        if found == self.mix:
            self._n_agreed, self._found = 0, None
        else:
            self._n_agreed = self._n_agreed + 1 if _alike(found, self._found) else 1
            self._found = found
            if self._first or self._n_agreed >= STEADY:
                self.mix, self._n_agreed, self._found = found, 0, None
        self._first = False


def _find(window: NDArray[np.float32], before: Mix) -> Mix | None:
    """Return how a window (n, channels) should be mixed; None where it is too quiet to find out."""
    covariance = _covariance(window).tolist()  # a few numbers: faster than arrays
    powers = [row[k] for k, row in enumerate(covariance)]
    loudest = powers.index(max(powers))
    if not powers[loudest] > QUIET:
        return None
    dead = tuple(k for k, power in enumerate(powers) if power < DEAD * powers[loudest])
    alive = tuple(k for k in range(len(powers)) if k not in dead)
    of_sum = sum(covariance[j][k] for j in alive for k in alive)
    share = of_sum / sum(powers[k] for k in alive)
    phase: Phase = "antiphase" if share < (CANCELLED if before.phase == "ok" else RECOVERED) else "ok"
    if phase == "antiphase":
        kept = before.used if before.phase == phase and before.used[0] in alive else (loudest,)
        return Mix(channels=before.channels, phase=phase, dead=dead, used=kept)
    return Mix(channels=before.channels, phase=phase, dead=dead, used=alive)


def _covariance(window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (channels, channels) covariance of every `EVERY`-th sample of (n, channels).

    The power of a sum of channels is the sum of their part of it.
    """
    rows = window[::EVERY].T.copy()
    rows -= rows.mean(axis=1, keepdims=True)
    covariance: NDArray[np.float32] = rows @ rows.T / np.float32(rows.shape[1])
    return covariance


def _alike(found: Mix, other: Mix | None) -> bool:
    """Return whether two findings agree; which of two channels that cancel is louder does not matter."""
    return other is not None and (found.phase, found.dead) == (other.phase, other.dead)


def _mean(samples: NDArray[np.float32], used: tuple[int, ...]) -> Samples:
    """Average the `used` channels of (n, channels) samples: the bits of `mean` over up to 7 channels, and faster."""
    total: Samples = samples[:, used[0]].astype(np.float32, copy=True)
    for k in used[1:]:
        total += samples[:, k]
    if len(used) > 1:
        total /= np.float32(len(used))
    return total

"""Impulse response of a shoebox room by image sources (Allen and Berkley, 1979)."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.front_end import Samples

SIZE_M = (5.2, 4.1, 2.6)
LOUDSPEAKER_M = (1.1, 2.9, 1.0)
MICROPHONE_M = (3.9, 1.2, 1.4)
SPEED_M_S = 343.0
BISECTIONS = 20


@lru_cache(maxsize=8)
def impulse_response(rt60_s: float, rate: int) -> Samples:
    """Return the (n,) response from loudspeaker to microphone, of energy 1.

    All walls reflect alike, so much that the sound decays by 60 dB in `rt60_s`, see `decay_s`.
    """
    longest = 1.5 * rt60_s
    axes = [_images(axis, longest) for axis in range(3)]
    x, y, z = (np.square(offsets) for offsets, _ in axes)
    distance = np.sqrt(x[:, None, None] + y[:, None] + z)
    x, y, z = (counts for _, counts in axes)
    walls = x[:, None, None] + y[:, None] + z
    at = np.rint(distance / SPEED_M_S * rate).astype(np.int64)
    near = at < round(longest * rate)
    at, walls, distance = at[near], walls[near], distance[near]
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        reflected = (low + high) / 2
        response = np.bincount(at, weights=reflected**walls / distance).astype(np.float64)
        low, high = (low, reflected) if decay_s(response, rate) > rt60_s else (reflected, high)
    scaled: Samples = (response / np.sqrt(np.square(response).sum())).astype(np.float32)
    return scaled


def decay_s(response: NDArray[np.floating], rate: int) -> float:
    """Return the reverberation time of a response, by Schroeder's integral from -5 to -25 dB."""
    left = np.cumsum(np.square(response, dtype=np.float64)[::-1])[::-1]
    early, late = (int(np.argmax(left < left[0] * 10 ** (db / 10))) or len(left) for db in (-5, -25))
    return 3 * (late - early) / rate


def _images(axis: int, longest_s: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the (n,) distances of the images along one axis, metres, and the (n,) walls on the way."""
    size, source, microphone = SIZE_M[axis], LOUDSPEAKER_M[axis], MICROPHONE_M[axis]
    last = int(longest_s * SPEED_M_S / 2 / size) + 1
    orders = np.arange(-last, last + 1)
    even, odd = 2 * orders * size + source, 2 * orders * size - source
    return (
        np.concatenate([even, odd]) - microphone,
        np.concatenate([np.abs(2 * orders), np.abs(2 * orders - 1)]),
    )

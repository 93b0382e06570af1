"""The pre-filter of a bundle, applied to a resampled stream; the samples before it are kept for the level meter."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from genrewatch.audio.high_pass import HighPass
from genrewatch.contract.bundle import PreFilter
from genrewatch.contract.front_end import Samples

CURRENT: PreFilter = "highpass-1"
"""The pre-filter of new bundles and of everything that the trainer computes from audio."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """The same stretch of a stream before and after the pre-filter."""

    raw: Samples
    """(n,) as they arrived, for offset, peak and clipping."""
    samples: Samples
    """(n,) as the front end takes them."""


def pre_filtered(
    pieces: Iterable[tuple[Samples, int]], sample_rate: int, pre_filter: PreFilter
) -> Iterator[tuple[Sound, int]]:
    """Filter (samples, samples lost before them); the filter restarts after a gap. All samples come out in the end."""
    stage = _Stage(sample_rate, pre_filter)
    nothing = np.empty(0, np.float32)
    for samples, missing in pieces:
        if missing:
            yield stage.push(nothing, last=True), 0
            stage = _Stage(sample_rate, pre_filter)
        yield stage.push(samples), missing
    yield stage.push(nothing, last=True), 0


def filtered(samples: Samples, sample_rate: int, pre_filter: PreFilter = CURRENT) -> Samples:
    """Filter (n,) samples at once, bit-equal to the same stream in blocks."""
    return _Stage(sample_rate, pre_filter).push(samples, last=True).samples


class _Stage:
    """The filter of one stretch, and the raw samples whose filtered ones are not ready yet."""

    def __init__(self, sample_rate: int, pre_filter: PreFilter) -> None:
        self._filter = HighPass(sample_rate) if pre_filter == "highpass-1" else None
        self._waiting = np.empty(0, np.float32)

    def push(self, samples: Samples, *, last: bool = False) -> Sound:
        """Return what is ready."""
        if self._filter is None:
            return Sound(raw=samples, samples=samples)
        ready = self._filter.push(samples, last=last)
        raw = np.concatenate([self._waiting, samples])
        self._waiting = raw[len(ready) :].copy()  # a view would keep all of `raw`
        return Sound(raw=raw[: len(ready)], samples=ready)

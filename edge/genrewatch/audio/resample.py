"""Blocks at any rate to blocks at the bundle's rate, by soxr; the same stream for device and trainer.

soxr's output does not depend on how its input is cut (the tests hold it to that), so any block sizes give the same
samples.
"""

import numpy as np
import soxr

from genrewatch.contract.front_end import Samples

QUALITY = "HQ"


class Resampler:
    """A stateful conversion of one unbroken stretch of mono float32."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._rates = (from_rate, to_rate)
        self.reset()

    def reset(self) -> None:
        """Start a new stretch, as after a gap."""
        same = self._rates[0] == self._rates[1]
        self._stream = None if same else soxr.ResampleStream(*self._rates, 1, dtype="float32", quality=QUALITY)

    def push(self, samples: Samples, *, last: bool = False) -> Samples:
        """Convert samples at the old rate to those at the new one that are ready; `last` flushes the rest."""
        if self._stream is None:
            return samples
        out: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples, np.float32), last=last)
        return out

"""Blocks of any length to overlapping segments. Every frame is computed once, however many segments share it.

    samples   |----------------------- segment 0 ------------------------|
              |- segment_hop -|----------------------- segment 1 ------------------------|
              frames 0 .. F-1 for segment 0, then segment_hop / hop_length new ones for each that follows

A segment never spans a gap: after one, cutting restarts at the first sample that follows it. Under load the hop can be
widened, even beyond a segment's length: then the samples between two segments are skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genrewatch.audio.level import Level, measure
from genrewatch.contract.front_end import FrontEnd, PowerDb, Samples


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of sound as the network sees it."""

    start: int
    """First sample, counted from the start of the stream."""
    end: int
    """One past the last sample."""
    power_db: PowerDb
    """(segment_frames, n_mels) dB."""
    levels: tuple[Level, ...]
    """Levels of the hops that are new in this segment, oldest first: one, or all of them after a start or a gap."""


class SegmentBuffer:
    """Cuts one stream at the bundle's rate."""

    def __init__(self, front_end: FrontEnd, segment_hop: int) -> None:
        config = front_end.config
        self._front_end = front_end
        self._segment_hop, self._segment_samples = segment_hop, config.segment_samples
        self._hop_frames, self._hop_length = segment_hop // config.hop_length, config.hop_length
        self.hops_per_segment = max(1, config.segment_samples // segment_hop)
        self.hop_factor = 1
        """Hops from each segment to the next; may be changed at any time."""
        self._position = 0  # of the next sample that arrives
        self._restart()

    def _restart(self) -> None:
        self._pieces: list[Samples] = []
        self._raw: list[Samples] = []  # the same samples before the pre-filter
        self._start = self._needed = self._position  # of the next segment, and of its first frame that is not there yet
        self._hops_since_last = 1
        self._frames: PowerDb | None = None  # that the next segment shares with the previous one

    def push(self, samples: Samples, raw: Samples | None = None) -> Iterator[Segment]:
        """Take the samples that follow the last ones; yield each segment that they complete.

        `raw` are the same samples before the pre-filter, for the levels.
        """
        self._position += len(samples)
        unneeded = max(0, len(samples) - max(0, self._position - self._needed))
        self._pieces.append(samples[unneeded:])
        self._raw.append((samples if raw is None else raw)[unneeded:])
        while self._start + self._segment_samples <= self._position:
            yield self._next()

    def gap(self, lost: int) -> None:
        """Skip `lost` samples and restart."""
        self._position += lost
        self._restart()

    def _next(self) -> Segment:
        held, raw = _joined(self._pieces), _joined(self._raw)
        end = self._start + self._segment_samples
        n_fresh = len(held) - (self._position - end)
        fresh = held[:n_fresh]  # first sample of the first new frame, to the end
        frames = self._front_end.power_db(fresh)
        new_hops = self.hops_per_segment
        if self._frames is not None:
            new_hops = min(new_hops, self._hops_since_last)
            frames = np.concatenate([self._frames, frames])
        segment = Segment(
            start=self._start, end=end, power_db=frames, levels=self._levels(fresh, raw[:n_fresh], new_hops)
        )
        self._advance(frames, held, raw)
        return segment

    def _advance(self, frames: PowerDb, held: Samples, raw: Samples) -> None:
        """Keep what the next segment shares with this one and release the rest."""
        self._hops_since_last = self.hop_factor
        shared = max(0, len(frames) - self._hop_frames * self.hop_factor)
        self._frames = frames[len(frames) - shared :]
        self._start += self._segment_hop * self.hop_factor
        self._needed = self._start + shared * self._hop_length
        kept = max(0, len(held) - max(0, self._position - self._needed))
        self._pieces, self._raw = [held[kept:].copy()], [raw[kept:].copy()]  # views would keep the whole arrays

    def _levels(self, samples: Samples, raw: Samples, hops: int) -> tuple[Level, ...]:
        hop, n = min(self._segment_hop, len(samples)), len(samples)
        hops = max(1, min(hops, n // hop))
        stretches = [slice(n - (k + 1) * hop, n - k * hop) for k in reversed(range(hops))]
        return tuple(measure(samples[stretch], raw[stretch]) for stretch in stretches)


def _joined(pieces: list[Samples]) -> Samples:
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]

"""The rows that a body is taught again on: crops of target stores with their degraded copies, and segments of clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig
from genrewatch_trainer.adaptation.field import CHANGES
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.targets import Half, Targets

HELD_OUT_EVERY = 16
REPRESENTATIVE = 256
"""Of each kind, of each store."""
CLEAN, DEGRADED = 0.34, 0.42
"""Shares of a batch: clean crops, degraded copies; the rest are segments of clips."""
CHANGED = 0.8
"""Share of the segments of clips that are changed, once or twice."""
PowerDb = NDArray[np.float32]
Row = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.float32]]
"""What the body is taught on, the sound whose features it learns to give, and the teacher's values."""


@dataclass(frozen=True, kw_only=True)
class Crops:
    """Crops with the values of a teacher."""

    power_db: Half
    """(n, segment_frames, n_mels)"""
    degraded: Half
    """(n, n_copies, segment_frames, n_mels)"""
    values: NDArray[np.float32]
    """(n, n_values), mean 0 and variance 1 over all stores"""

    def select(self, kept: NDArray[np.bool_]) -> "Crops":
        """Return the crops whose flag is set."""
        return Crops(power_db=self.power_db[kept], degraded=self.degraded[kept], values=self.values[kept])


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of a training step."""

    power_db: PowerDb
    """(n, segment_frames, n_mels), what the body is taught on"""
    reference_db: PowerDb
    """(n, segment_frames, n_mels), the sound whose features by the earlier body it learns to give"""
    values: NDArray[np.float32]
    """(n, n_values)"""
    known: NDArray[np.float32]
    """(n,) 1 where the values are known, else 0"""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Crops of all target stores, and clips, which no teacher has valued."""

    stores: tuple[Crops, ...]
    clips: tuple[Half, ...]
    """(n_frames, n_mels) each, at least a segment long; may be empty"""
    config: FrontEndConfig

    @property
    def n_values(self) -> int:
        """Length of a teacher's vector."""
        return int(self.stores[0].values.shape[1])

    @cached_property
    def training(self) -> tuple[Crops, ...]:
        """The crops of each store that are trained on."""
        return tuple(crops.select(~_held_out(crops)) for crops in self.stores)

    def held_out(self) -> Crops:
        """Return every 16th crop of the store with the most degraded copies, which is never trained on."""
        crops = max(self.stores, key=lambda each: each.degraded.shape[0] * each.degraded.shape[1])
        return crops.select(_held_out(crops))

    def representative(self) -> Half:
        """Return some crops and copies (n, segment_frames, n_mels), dB, to set the scales of activations."""
        shape = self.stores[0].power_db.shape[1:]
        parts = [crops.power_db for crops in self.stores]
        parts += [crops.degraded.reshape(-1, *shape) for crops in self.stores]
        return np.concatenate([part[:: max(1, len(part) // REPRESENTATIVE)] for part in parts])

    def draw(self, n: int, rng: Generator) -> Batch:
        """Draw `n` rows."""
        with_copies = [crops for crops in self.training if crops.degraded.shape[1]]
        n_degraded = round(DEGRADED * n) if with_copies else 0
        n_clips = n - n_degraded - round(CLEAN * n) if self.clips else 0
        rows = [self._clean(rng) for _ in range(n - n_degraded - n_clips)]
        rows += [self._degraded(with_copies, rng) for _ in range(n_degraded)]
        rows += [self._segment(rng) for _ in range(n_clips)]
        power_db, reference_db, values = (np.stack(each).astype(np.float32) for each in zip(*rows, strict=True))
        known = (np.arange(n) < n - n_clips).astype(np.float32)
        return Batch(power_db=power_db, reference_db=reference_db, values=values, known=known)

    def _clean(self, rng: Generator) -> Row:
        crops, i = _one_of(self.training, rng)
        return crops.power_db[i], crops.power_db[i], crops.values[i]

    def _degraded(self, stores: Sequence[Crops], rng: Generator) -> Row:
        crops, i = _one_of(stores, rng)
        return crops.degraded[i, int(rng.integers(crops.degraded.shape[1]))], crops.power_db[i], crops.values[i]

    def _segment(self, rng: Generator) -> Row:
        """Draw a segment of a clip, and change it as clips are for a head, or leave it."""
        reference = self._any_segment(rng)
        changed = reference
        if rng.uniform() < CHANGED:
            for name in rng.choice(list(CHANGES), size=int(rng.integers(1, 3)), replace=False):
                changed = CHANGES[str(name)](changed, self.config, rng)
        return changed, reference, np.zeros(self.n_values, np.float32)

    def _any_segment(self, rng: Generator) -> PowerDb:
        clip, length = self.clips[int(rng.integers(len(self.clips)))], self.config.segment_frames
        start = int(rng.integers(len(clip) - length + 1))
        return clip[start : start + length].astype(np.float32)


def rows_of(front_end: FrontEnd, targets: Sequence[Targets], clips: Store | None, chosen: Sequence[int]) -> Rows:
    """Read the crops of target stores and the chosen clips; raises DataError."""
    config = front_end.config
    for where, other in [(store.path, store.index.front_end) for store in targets] + (
        [(clips.path, clips.index.front_end)] if clips else []
    ):
        if other != config:
            raise DataError(f"{where}: front_end", "is not the bundle's", str(config))
    if len({store.target.shape[1] for store in targets}) != 1:
        raise DataError(", ".join(str(store.path) for store in targets), "hold values of different lengths")
    values = np.concatenate([store.target for store in targets])
    mean, deviation = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-9)
    return Rows(
        stores=tuple(
            Crops(power_db=store.power_db, degraded=store.degraded(), values=(store.target - mean) / deviation)
            for store in targets
        ),
        clips=tuple(
            clip.astype(np.float16)
            for clip in (clips.clip(i) for i in chosen if clips)
            if len(clip) >= config.segment_frames
        )
        if clips
        else (),
        config=config,
    )


def _held_out(crops: Crops) -> NDArray[np.bool_]:
    flags: NDArray[np.bool_] = np.arange(len(crops.power_db)) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    return flags


def _one_of(stores: Sequence[Crops], rng: Generator) -> tuple[Crops, int]:
    """Draw a crop; each crop of all stores is as likely."""
    sizes = np.array([len(crops.power_db) for crops in stores], np.float64)
    crops = stores[int(rng.choice(len(stores), p=sizes / sizes.sum()))]
    return crops, int(rng.integers(len(crops.power_db)))

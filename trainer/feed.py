"""What the network sees while it learns: fresh random crops of the training clips, batch by batch.

Everything random in a batch comes from (seed, epoch, batch), so an epoch that is run again after a kill is the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contract.front_end import FrontEnd, LogMel
from trainer.augment import mixup, random_segment
from trainer.recipes import Augmentation, Recipe
from trainer.store import Store

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Feed:
    """The training clips of a store, as batches."""

    store: Store
    clips: tuple[int, ...]
    """Positions in the store of the clips to learn from."""
    recipe: Recipe
    seed: int

    @property
    def n_batches(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.clips) * self.recipe.crops_per_clip // self.recipe.batch)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """(batch, segment_frames, n_mels, 1) in [0, 1] and (batch, n_labels) shares, each clip in random order."""
        every = np.repeat(self.clips, self.recipe.crops_per_clip)
        order = np.random.default_rng((self.seed, epoch)).permutation(every)
        for number in range(self.n_batches):
            chosen = order[number * self.recipe.batch : (number + 1) * self.recipe.batch]
            yield self._batch(chosen, np.random.default_rng((self.seed, epoch, number)))

    def _batch(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        front_end = FrontEnd(self.recipe.front_end)
        how = self.recipe.augmentation
        x = np.stack([random_segment(self.store.clip(int(i)), front_end, how, rng) for i in chosen])
        y = np.eye(len(self.store.index.labels), dtype=np.float32)[self.store.label_ids[chosen]]
        return mixup(x[..., None], y, how.mixup_alpha, rng)


def representative_segments(feed: Feed, n_segments: int) -> NDArray[np.float32]:
    """(n_segments, segment_frames, n_mels) in [0, 1]: unchanged random crops of training clips, each clip in turn."""
    rng = np.random.default_rng((feed.seed, n_segments))
    front_end = FrontEnd(feed.recipe.front_end)
    order = np.resize(rng.permutation(feed.clips), n_segments)
    return np.stack([random_segment(feed.store.clip(int(i)), front_end, Augmentation(), rng) for i in order])


def clip_segments(power_db: LogMel, front_end: FrontEnd, hop_frames: int) -> NDArray[np.float32]:
    """A clip (n_frames, n_mels) dB -> all its segments (n_segments, segment_frames, n_mels) in [0, 1]."""
    length = front_end.config.segment_frames
    starts = range(0, len(power_db) - length + 1, hop_frames)
    return front_end.scale(np.stack([power_db[start : start + length] for start in starts]))


def segments_of(clips: Sequence[LogMel], front_end: FrontEnd, hop_frames: int) -> tuple[NDArray[np.float32], list[int]]:
    """All segments of many clips in one array, and how many each clip has."""
    parts = [clip_segments(clip, front_end, hop_frames) for clip in clips]
    return np.concatenate(parts), [len(part) for part in parts]

"""The batches of an epoch: fresh random crops of the training clips, and crops with a teacher's targets.

Everything random in a batch comes from (seed, epoch, batch), so an epoch that is run again after a kill is the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.front_end import FrontEnd, PowerDb
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.target_crops import TargetCrops
from genrewatch_trainer.training.augment import mixup, random_segment
from genrewatch_trainer.training.recipes import Augmentation, Recipe

Ids = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The rows of a training step: crops of labelled clips first, then crops with a teacher's targets."""

    log_mel: NDArray[np.float32]
    """(batch, segment_frames, n_mels, 1) in [0, 1]"""
    soft_labels: NDArray[np.float32]
    """(batch, n_labels) that sum to 1; 0 in a row with targets"""
    labelled: NDArray[np.float32]
    """(batch,) 1 for a labelled row, 0 for a row with targets"""
    targets: NDArray[np.float32] | None = None
    """(batch, n_values); 0 in a labelled row; None where the feed has no teacher"""


@dataclass(frozen=True, kw_only=True)
class ExtraClips:
    """Labelled clips of a further store."""

    store: Store
    clips: tuple[int, ...]
    """Positions in that store."""
    share: float
    """Crops drawn from it per crop of the first store."""


@dataclass(frozen=True, kw_only=True)
class Feed:
    """The training clips of a store as batches, with extra clips and crops with targets where there are any."""

    store: Store
    clips: tuple[int, ...]
    """Positions in the store of the clips to train on."""
    recipe: Recipe
    seed: int
    extra: tuple[ExtraClips, ...] = ()
    target_crops: TargetCrops | None = None

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels of all stores in alphabetical order, which is that of the network's logits."""
        return tuple(sorted({label for store in self._stores for label in store.index.labels}))

    def label(self, i: int) -> int:
        """Return the position in `labels` of a clip's label, the clip being one of the first store."""
        return self.labels.index(self.store.index.clips[i].label)

    @cached_property
    def _stores(self) -> tuple[Store, ...]:
        return (self.store, *(extra.store for extra in self.extra))

    @property
    def _crops_per_pass(self) -> list[int]:
        """Number of crops of each store in a pass over the clips."""
        first = len(self.clips) * self.recipe.crops_per_clip
        return [first, *(round(first * extra.share) for extra in self.extra)]

    @property
    def n_batches(self) -> int:
        """Number of batches in an epoch."""
        labelled_rows = self.recipe.batch - self._target_rows(self.recipe.teach_epochs)
        return self.recipe.steps_per_epoch or -(-sum(self._crops_per_pass) // labelled_rows)

    def _target_rows(self, epoch: int) -> int:
        return self.recipe.target_rows(epoch) if self.target_crops else 0

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, counted from 0; each pass over clips or crops is in random order."""
        rng = np.random.default_rng((self.seed, epoch))
        n_target = self._target_rows(epoch)
        n_labelled = self.recipe.batch - n_target
        labelled = self._labelled_ids(rng, self.n_batches * n_labelled)
        n_crops = self.target_crops.n_train if self.target_crops else 0
        crops = _cycled(lambda: rng.permutation(n_crops), self.n_batches * n_target)
        for number in range(self.n_batches):
            yield self._batch(
                labelled[number * n_labelled : (number + 1) * n_labelled],
                crops[number * n_target : (number + 1) * n_target],
                np.random.default_rng((self.seed, epoch, number)),
            )

    def unaugmented(self) -> Iterator[NDArray[np.float32]]:
        """Yield the recipe's `settle_batches` batches (batch, segment_frames, n_mels, 1) of unaugmented clips."""
        wanted = self.recipe.settle_batches
        if wanted:
            plain = replace(
                self.recipe,
                augmentation=Augmentation(),
                taught_percent=0,
                teach_epochs=0,
                steps_per_epoch=wanted,
            )
            for batch in replace(self, recipe=plain, target_crops=None).epoch(0):
                yield batch.log_mel

    def _labelled_ids(self, rng: np.random.Generator, n_most: int) -> Ids:
        """Return (n, 2) store and clip of each crop of an epoch: one pass, or as many as the recipe's steps need."""

        def one_pass() -> Ids:
            first, *others = self._crops_per_pass
            drawn = [np.resize(self.clips, first)]
            drawn += [rng.choice(extra.clips, n) for extra, n in zip(self.extra, others, strict=True)]
            ids = [np.stack([np.full(len(clips), i), clips], axis=1) for i, clips in enumerate(drawn)]
            return rng.permutation(np.concatenate(ids))

        return _cycled(one_pass, n_most) if self.recipe.steps_per_epoch else one_pass()

    def _batch(self, labelled: Ids, crops: Ids, rng: np.random.Generator) -> Batch:
        parts = [self._labelled_rows(labelled, rng)] if len(labelled) else []
        if self.target_crops and len(crops):
            parts.append(self._rows_with_targets(self.target_crops, crops, rng))
        return _joined(parts)

    def _labelled_rows(self, ids: Ids, rng: np.random.Generator) -> Batch:
        clips = [self._stores[store].clip(int(i)) for store, i in ids]
        names = [self._stores[store].index.clips[int(i)].label for store, i in ids]
        labels = np.eye(len(self.labels), dtype=np.float32)[[self.labels.index(name) for name in names]]
        log_mel = self._augmented(clips, self.recipe.augmentation, rng)
        log_mel, labels = mixup(log_mel, labels, self.recipe.augmentation.mixup_alpha, rng)
        n, crops = len(ids), self.target_crops
        return Batch(
            log_mel=log_mel,
            soft_labels=labels,
            labelled=np.ones(n, np.float32),
            targets=np.zeros((n, crops.n_values), np.float32) if crops else None,
        )

    def _rows_with_targets(self, crops: TargetCrops, ids: Ids, rng: np.random.Generator) -> Batch:
        power_db = [crops.power_db[i].astype(np.float32) for i in ids]
        return Batch(
            log_mel=self._augmented(power_db, self.recipe.taught_augmentation, rng),
            soft_labels=np.zeros((len(ids), len(self.labels)), np.float32),
            labelled=np.zeros(len(ids), np.float32),
            targets=crops.target[ids],
        )

    def _augmented(self, clips: Sequence[PowerDb], how: Augmentation, rng: np.random.Generator) -> NDArray[np.float32]:
        """Cut an augmented segment from each clip: (n, segment_frames, n_mels, 1) in [0, 1]."""
        front_end = FrontEnd(self.recipe.front_end)
        return np.stack([random_segment(clip, front_end, how, rng) for clip in clips])[..., None]


def _joined(parts: Sequence[Batch]) -> Batch:
    targets = [part.targets for part in parts if part.targets is not None]
    return Batch(
        log_mel=np.concatenate([part.log_mel for part in parts]),
        soft_labels=np.concatenate([part.soft_labels for part in parts]),
        labelled=np.concatenate([part.labelled for part in parts]),
        targets=np.concatenate(targets) if targets else None,
    )


def _cycled(one_pass: Callable[[], Ids], n: int) -> Ids:
    """Return the first `n` ids of as many passes as that takes."""
    passes = [one_pass()]
    while len(passes[-1]) and sum(map(len, passes)) < n:
        passes.append(one_pass())
    return np.concatenate(passes)[:n]


def representative_segments(feed: Feed, n_segments: int) -> NDArray[np.float32]:
    """Return (n_segments, segment_frames, n_mels) in [0, 1]: unaugmented random crops of the training clips in turn."""
    rng = np.random.default_rng((feed.seed, n_segments))
    front_end = FrontEnd(feed.recipe.front_end)
    order = np.resize(rng.permutation(feed.clips), n_segments)
    return np.stack([random_segment(feed.store.clip(int(i)), front_end, Augmentation(), rng) for i in order])


def clip_segments(power_db: PowerDb, front_end: FrontEnd, hop_frames: int) -> NDArray[np.float32]:
    """Cut a clip (n_frames, n_mels) in dB into all its segments (n_segments, segment_frames, n_mels) in [0, 1]."""
    length = front_end.config.segment_frames
    starts = range(0, len(power_db) - length + 1, hop_frames)
    return front_end.scale(np.stack([power_db[start : start + length] for start in starts]))


def segments_of(
    clips: Sequence[PowerDb], front_end: FrontEnd, hop_frames: int
) -> tuple[NDArray[np.float32], list[int]]:
    """Return all segments of many clips in one array, and the number of each clip's segments."""
    parts = [clip_segments(clip, front_end, hop_frames) for clip in clips]
    return np.concatenate(parts), [len(part) for part in parts]

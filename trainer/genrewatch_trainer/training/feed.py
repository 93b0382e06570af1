"""What the network sees while it learns: fresh random crops of the training clips, batch by batch.

Everything random in a batch comes from (seed, epoch, batch), so an epoch that is run again after a kill is the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEnd, PowerDb
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.targets import Targets
from genrewatch_trainer.training.augment import mixup, random_segment
from genrewatch_trainer.training.recipes import Augmentation, Recipe

HELD_BACK_EVERY, HELD_BACK_MOST = 20, 512  # of the taught crops, to measure with
SAME_CROP_DB = 0.1  # mean difference of a cell; rounding gives far less

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]
Ids = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Also:
    """More labelled clips to learn from, of another store."""

    store: Store
    clips: tuple[int, ...]
    """Positions in that store."""
    share: float
    """Crops drawn from it for each crop of the first store."""


@dataclass(frozen=True, kw_only=True)
class Taught:
    """Crops with a teacher's targets, in units of their standard deviations, some kept back to measure with."""

    power_db: NDArray[np.float16]
    """(n_crops, segment_frames, n_mels), dB re 1.0"""
    target: NDArray[np.float32]
    """(n_crops, n_values), mean 0 and variance 1 over the crops"""
    n_held_back: int
    """The last ones, from which nothing is learned."""

    @classmethod
    def of(cls, *stores: Targets) -> "Taught":
        """The crops of target stores, one after another, each crop once: what several teachers say of the same crops
        stands side by side in its target. DataError when they do not go together.
        """
        groups: dict[object, list[Targets]] = {}
        for store in stores:
            groups.setdefault(store.index.crops, []).append(store)
        pictures, targets, wanted = [], [], None
        for of_same_crops in groups.values():
            first, lengths = of_same_crops[0], [store.target.shape[1] for store in of_same_crops]
            wanted = wanted or lengths
            if lengths != wanted:
                found, expected = (" + ".join(map(str, some)) for some in (lengths, wanted))
                raise DataError(str(first.path), f"{found} values a crop", f"{expected}, as in {stores[0].path}")
            n_crops = min(map(len, of_same_crops))
            for other in of_same_crops[1:]:
                _require_same(first, other, min(n_crops, first.index.crops_per_chunk))
            pictures.append(first.power_db[:n_crops])
            targets.append(np.concatenate([store.target[:n_crops] for store in of_same_crops], axis=1))
        target = np.concatenate(targets)
        spread = target.std(axis=0)
        scaled = (target - target.mean(axis=0)) / np.where(spread > 0, spread, 1)
        n_held_back = min(HELD_BACK_MOST, len(target) // HELD_BACK_EVERY)
        return cls(power_db=np.concatenate(pictures), target=scaled.astype(np.float32), n_held_back=n_held_back)

    @property
    def n_values(self) -> int:
        """Length of a target."""
        return int(self.target.shape[1])

    @property
    def n_learned(self) -> int:
        """Crops to learn from."""
        return len(self.target) - self.n_held_back


def _require_same(one: Targets, other: Targets, n_crops: int) -> None:
    """DataError unless the first crops are the same sound in both: the files may have changed under their names."""
    difference = np.abs(one.power_db[:n_crops].astype(np.float32) - other.power_db[:n_crops].astype(np.float32))
    if not difference.mean() < SAME_CROP_DB:
        raise DataError(str(other.path), "holds other crops", f"those of {one.path}, of the same songs and seed")


@dataclass(frozen=True, kw_only=True)
class Feed:
    """The training clips of a store, as batches; with those of others and with taught crops where there are any."""

    store: Store
    clips: tuple[int, ...]
    """Positions in the store of the clips to learn from."""
    recipe: Recipe
    seed: int
    also: tuple[Also, ...] = ()
    taught: Taught | None = None

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Of all stores, in order: those of the network's outputs."""
        return tuple(sorted({label for store in self._stores for label in store.index.labels}))

    def label(self, i: int) -> int:
        """Position in `labels` of that of a clip of the first store."""
        return self.labels.index(self.store.index.clips[i].label)

    @cached_property
    def _stores(self) -> tuple[Store, ...]:
        return (self.store, *(more.store for more in self.also))

    @property
    def _crops_a_pass(self) -> list[int]:
        """Of each store."""
        first = len(self.clips) * self.recipe.crops_per_clip
        return [first, *(round(first * more.share) for more in self.also)]

    @property
    def n_batches(self) -> int:
        """Batches in an epoch."""
        labelled_rows = self.recipe.batch - self._taught_rows(self.recipe.teach_epochs)
        return self.recipe.steps_per_epoch or -(-sum(self._crops_a_pass) // labelled_rows)

    def _taught_rows(self, epoch: int) -> int:
        return self.recipe.taught_rows(epoch) if self.taught else 0

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """(batch, segment_frames, n_mels, 1) in [0, 1] and (batch, n_labels) shares, each clip in random order.

        With taught crops the second is (batch, n_labels + n_values + 1): shares, which are 0 for a taught row, targets,
        and 1 for a taught row.
        """
        rng = np.random.default_rng((self.seed, epoch))
        n_taught = self._taught_rows(epoch)
        n_labelled = self.recipe.batch - n_taught
        labelled = self._labelled(rng, self.n_batches * n_labelled)
        taught = _cycled(
            lambda: rng.permutation(self.taught.n_learned if self.taught else 0), self.n_batches * n_taught
        )
        for number in range(self.n_batches):
            yield self._batch(
                labelled[number * n_labelled : (number + 1) * n_labelled],
                taught[number * n_taught : (number + 1) * n_taught],
                np.random.default_rng((self.seed, epoch, number)),
            )

    def plain(self) -> Iterator[NDArray[np.float32]]:
        """The recipe's number of batches (batch, segment_frames, n_mels, 1) of unchanged crops of labelled clips."""
        wanted = self.recipe.settle_batches
        if wanted:
            how = replace(
                self.recipe,
                augmentation=Augmentation(),
                taught_percent=0,
                teach_epochs=0,
                steps_per_epoch=wanted,
            )
            for x, _ in replace(self, recipe=how, taught=None).epoch(0):
                yield x

    def _labelled(self, rng: np.random.Generator, n_most: int) -> Ids:
        """(n, 2) store and clip of each crop of an epoch: one pass, or as many as the recipe's steps need."""

        def one_pass() -> Ids:
            first, *others = self._crops_a_pass
            drawn = [np.resize(self.clips, first)]
            drawn += [rng.choice(more.clips, n) for more, n in zip(self.also, others, strict=True)]
            ids = [np.stack([np.full(len(clips), i), clips], axis=1) for i, clips in enumerate(drawn)]
            return rng.permutation(np.concatenate(ids))

        return _cycled(one_pass, n_most) if self.recipe.steps_per_epoch else one_pass()

    def _batch(self, labelled: Ids, taught: Ids, rng: np.random.Generator) -> Batch:
        front_end = FrontEnd(self.recipe.front_end)
        parts = []
        if len(labelled):
            how = self.recipe.augmentation
            clips = [self._stores[store].clip(int(i)) for store, i in labelled]
            x = np.stack([random_segment(clip, front_end, how, rng) for clip in clips])[..., None]
            names = [self._stores[store].index.clips[int(i)].label for store, i in labelled]
            y = np.eye(len(self.labels), dtype=np.float32)[[self.labels.index(name) for name in names]]
            parts.append(mixup(x, y, how.mixup_alpha, rng))
        if self.taught and parts:
            x, y = parts[0]
            parts[0] = x, np.pad(y, ((0, 0), (0, self.taught.n_values + 1)))
        if self.taught and len(taught):
            how = self.recipe.taught_augmentation
            crops = [self.taught.power_db[i].astype(np.float32) for i in taught]
            x = np.stack([random_segment(crop, front_end, how, rng) for crop in crops])[..., None]
            y = np.zeros((len(taught), len(self.labels) + self.taught.n_values + 1), np.float32)
            y[:, len(self.labels) : -1] = self.taught.target[taught]
            y[:, -1] = 1
            parts.append((x, y))
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def _cycled(one_pass: Callable[[], Ids], n: int) -> Ids:
    """The first `n` of as many passes as that takes."""
    passes = [one_pass()]
    while len(passes[-1]) and sum(map(len, passes)) < n:
        passes.append(one_pass())
    return np.concatenate(passes)[:n]


def representative_segments(feed: Feed, n_segments: int) -> NDArray[np.float32]:
    """(n_segments, segment_frames, n_mels) in [0, 1]: unchanged random crops of training clips, each clip in turn."""
    rng = np.random.default_rng((feed.seed, n_segments))
    front_end = FrontEnd(feed.recipe.front_end)
    order = np.resize(rng.permutation(feed.clips), n_segments)
    return np.stack([random_segment(feed.store.clip(int(i)), front_end, Augmentation(), rng) for i in order])


def clip_segments(power_db: PowerDb, front_end: FrontEnd, hop_frames: int) -> NDArray[np.float32]:
    """A clip (n_frames, n_mels) dB -> all its segments (n_segments, segment_frames, n_mels) in [0, 1]."""
    length = front_end.config.segment_frames
    starts = range(0, len(power_db) - length + 1, hop_frames)
    return front_end.scale(np.stack([power_db[start : start + length] for start in starts]))


def segments_of(
    clips: Sequence[PowerDb], front_end: FrontEnd, hop_frames: int
) -> tuple[NDArray[np.float32], list[int]]:
    """All segments of many clips in one array, and how many each clip has."""
    parts = [clip_segments(clip, front_end, hop_frames) for clip in clips]
    return np.concatenate(parts), [len(part) for part in parts]

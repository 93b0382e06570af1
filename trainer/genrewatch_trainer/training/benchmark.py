"""The speed of the input pipeline without a network, to be compared with a training step."""

import time
from dataclasses import dataclass

from genrewatch_trainer.data.store import Store
from genrewatch_trainer.training.feed import Feed
from genrewatch_trainer.training.recipes import Recipe


@dataclass(frozen=True, kw_only=True)
class FeedSpeed:
    """The speed of a recipe's feed on this machine, in one process."""

    batches_per_s: float
    segments_per_s: float
    mb_per_s: float
    """Network input, in megabytes a second."""
    batch_ms: float
    """Wall-clock time of a batch: a training step that takes longer never waits."""


def feed_speed(store: Store, recipe: Recipe, *, batches: int, seed: int = 0) -> FeedSpeed:
    """Draw `batches` batches of the store's clips and time them, after one to warm up."""
    feed = Feed(store=store, clips=tuple(range(len(store))), recipe=recipe, seed=seed)
    segments = n_bytes = done = epoch = 0
    next(feed.epoch(0))
    began = time.monotonic()
    while done < batches:
        for batch in feed.epoch(epoch):
            segments, n_bytes, done = segments + len(batch.log_mel), n_bytes + batch.log_mel.nbytes, done + 1
            if done == batches:
                break
        epoch += 1
    seconds = time.monotonic() - began
    return FeedSpeed(
        batches_per_s=done / seconds,
        segments_per_s=segments / seconds,
        mb_per_s=n_bytes / 1e6 / seconds,
        batch_ms=1000 * seconds / done,
    )

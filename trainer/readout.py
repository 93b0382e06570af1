"""A genre head by logistic regression on what a network has learned to see: the last step of distillation.

The network of an earlier run, which a teacher's targets have formed, stays as it is. Its pooled features of plain
segments, standardised, go through multinomial logistic regression, and scaling and weights are folded into the one
dense layer `logits`, so that what comes out is an ordinary run of one ordinary network:

    logits = W ((f - mean) / deviation) + b = (W / deviation) f + (b - W mean / deviation)
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.contract.errors import DataError
from edge.contract.front_end import FrontEnd
from trainer.feed import Feed, segments_of
from trainer.fit import More, feed_of, finish_untrained, open_run, record_of
from trainer.hardware import predict
from trainer.network import LOGITS, build, take_over
from trainer.progress import progress
from trainer.recipes import Recipe
from trainer.run import Run
from trainer.splits import parts_of
from trainer.store import Store

PREDICT_BATCH = 32
MOST_STEPS = 2000


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What the regression learns from."""

    features: NDArray[np.float32]
    """(n_segments, n_features)"""
    labels: NDArray[np.int64]
    """(n_segments,)"""
    weights: NDArray[np.float64]
    """(n_segments,) of each segment in the loss; those of the first store are 1 on average."""


def fit_readout(
    taught: Run,
    store: Store,
    path: Path,
    *,
    scheme: str,
    train_parts: tuple[str, ...],
    strength: float,
    also: tuple[tuple[Store, float], ...] = (),
) -> Run:
    """A run in the new folder `path` with the layers of `taught` and a head for the labels of all stores.

    `strength` is scikit-learn's C: the inverse of the penalty on the weights. A store of `also` weighs as much as its
    share of the first one. Raises ConfigError or DataError.
    """
    more = More(also=also, start=taught)
    recipe = recipe_of(taught)
    split = parts_of(store.index, scheme, taught.record.seed)
    feed = feed_of(store, recipe, split, scheme, train_parts, taught.record.seed, more)
    run = open_run(path, record_of(feed, split, scheme, train_parts, more), split, feed)
    if run.finished:
        return run
    keras.utils.set_random_seed(feed.seed)
    model = build(recipe, len(feed.labels))
    take_over(model, taught.whole_model())
    weights, offsets = head(lesson_of(feed, pooled_features(model)), len(feed.labels), strength)
    model.get_layer(LOGITS).set_weights([weights, offsets])
    return finish_untrained(run, model, store, split, {"readout_strength": strength})


def recipe_of(taught: Run) -> Recipe:
    """The recipe of `taught` without its stages: nothing is trained by gradients any more."""
    return replace(
        taught.recipe,
        name=f"{taught.recipe.name}-readout",
        teach_epochs=0,
        epochs=1,
        taught_percent=0,
        average_momentum=0.0,
        settle_batches=0,
        steps_per_epoch=0,
    )


def pooled_features(model: Any) -> Any:
    """(n, segment_frames, n_mels, 1) -> (n, n_features): what the head of a network looks at."""
    return keras.Model(model.inputs, model.get_layer(LOGITS).input)


def lesson_of(feed: Feed, features: Any) -> Lesson:
    """The features of all training segments, at half a segment's distance from one another."""
    front_end = FrontEnd(feed.recipe.front_end)
    hop = max(1, front_end.config.segment_frames // 2)
    stores = [(feed.store, feed.clips, 1.0), *((more.store, more.clips, more.share) for more in feed.also)]
    parts: list[Lesson] = []
    with progress(total=len(stores), done=0, unit="store", name="features") as bar:
        for store, clips, share in stores:
            segments, counts = segments_of([store.clip(i) for i in clips], front_end, hop)
            labels = np.repeat([feed.labels.index(store.index.clips[i].label) for i in clips], counts)
            first = len(parts[0].labels) if parts else len(labels)
            weights = np.full(len(labels), share * first / len(labels))
            seen = predict(features, segments[..., None], PREDICT_BATCH)
            parts.append(Lesson(features=seen, labels=labels, weights=weights))
            bar.update()
    return Lesson(
        features=np.concatenate([part.features for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
    )


def head(lesson: Lesson, n_labels: int, strength: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (n_features, n_labels) and offsets (n_labels,) of the layer `logits`; DataError without every label."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(lesson.labels)) != n_labels or n_labels < 3:
        raise DataError("readout", f"clips of {len(np.unique(lesson.labels))} labels", "three or more, each with clips")
    mean = lesson.features.mean(axis=0, dtype=np.float64)
    deviation = lesson.features.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1.0
    regression = LogisticRegression(C=strength, max_iter=MOST_STEPS)
    regression.fit((lesson.features - mean) / deviation, lesson.labels, sample_weight=lesson.weights)
    weights = regression.coef_ / deviation
    offsets = regression.intercept_ - weights @ mean
    return weights.T.astype(np.float32), offsets.astype(np.float32)

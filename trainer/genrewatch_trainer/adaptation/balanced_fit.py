"""A head fitted with balanced weights: every label weighs the same, and a collection has a fixed share of a label.

Without that, a label with more clips, or a collection that has only some of the labels, shifts the priors of the
regression; with the strong penalty that few clips need, this costs several points of accuracy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError
from genrewatch.inference.head import Head
from genrewatch_trainer.adaptation.clip_features import ClipFeatures
from genrewatch_trainer.distillation.regression import fit_layer


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Clips with the share that they have in the weight of each label."""

    clips: ClipFeatures
    share: float
    """0 to 1 of a label that the main collection has too; a label that only this collection has counts in full."""


def fit_balanced(
    main: ClipFeatures,
    others: Sequence[Collection],
    labels: Sequence[str],
    strength: float,
    field_weight: float = 0.0,
) -> Head:
    """Fit the head of `labels` on the clips of the main and other collections.

    `strength` is scikit-learn's C: the inverse of the penalty on the weights of standardised features. `field_weight`
    is that of a clip's changed copies, all together, relative to the clip; the total stays the same. Raises DataError
    for a label without a clip.
    """
    collections = [main, *(other.clips for other in others)]
    by_collection = [_segment_labels(each.features, each.labels, labels) for each in collections]
    ids = np.concatenate(by_collection)
    if missing := [label for i, label in enumerate(labels) if not (ids == i).any()]:
        raise DataError("labels", f"no clip of {missing[0]}", "at least one clip of each label")
    weights = segment_weights(by_collection, [other.share for other in others], len(labels))
    features = [clip for collection in collections for clip in collection.features]
    if field_weight:
        features += [copies for collection in collections for copies in collection.field]
        ids = np.concatenate([ids, *(_segment_labels(each.field, each.labels, labels) for each in collections)])
        weights = np.concatenate([weights, field_weight * _field_weights(collections, weights)]) / (1 + field_weight)
    fitted, offsets = fit_layer(np.concatenate(features), np.eye(len(labels))[ids], weights, strength)
    return Head(weights=fitted.T.astype(np.float32), offsets=offsets.astype(np.float32))


def _field_weights(collections: Sequence[ClipFeatures], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of each segment of the changed copies; those of a clip sum to that of the clip's segments."""
    counts = [len(clip) for collection in collections for clip in collection.features]
    copies = [len(clip) for collection in collections for clip in collection.field]
    of_clip = np.add.reduceat(weights, np.cumsum([0, *counts[:-1]]))
    return np.repeat(of_clip / copies, copies)


def _segment_labels(
    clips: Sequence[NDArray[np.float32]], of_clips: Sequence[str], labels: Sequence[str]
) -> NDArray[np.int64]:
    """Return (n_segments,) the label of each segment as a position in `labels`."""
    return np.repeat([labels.index(label) for label in of_clips], [len(clip) for clip in clips]).astype(np.int64)


def segment_weights(ids: Sequence[NDArray[np.int64]], shares: Sequence[float], n_labels: int) -> NDArray[np.float64]:
    """Return the weight of each segment, collection by collection; those of a label sum to the same for every label.

    `ids` holds the label of each segment of the main collection and then of the others, whose shares follow.
    """
    of_a_label = len(ids[0]) / len(np.unique(ids[0]))
    weights = [np.zeros(len(each)) for each in ids]
    for label in range(n_labels):
        n_segments = np.array([(each == label).sum() for each in ids])
        parts = np.where(n_segments > 0, [0.0, *shares], 0.0)
        if n_segments[0]:
            parts[0] = max(0.0, 1 - parts.sum())
        parts = parts / parts.sum()
        for weight, each, part, n in zip(weights, ids, parts, n_segments, strict=True):
            weight[each == label] = of_a_label * part / max(1, n)
    return np.concatenate(weights)

"""Summaries of features: made when a head is fitted, used in place of its clips when it is adapted."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.summary import FeatureSummary
from genrewatch_trainer.adaptation.clip_features import ClipFeatures, Features

CENTRES = 16
"""Centres of a label. A head fitted on them is 1 point worse across artists than one fitted on all segments."""
REPEATS = 64
"""Segments that stand for a label: each centre is repeated by its share, at least once."""


def summarise(collections: Sequence[ClipFeatures], labels: Sequence[str]) -> FeatureSummary:
    """Return at most `CENTRES` centres of the segments of each label, by k-means."""
    found = [_centres(_segments(collections, label)) for label in labels]
    return FeatureSummary(
        centres=np.concatenate([centres for centres, _ in found]),
        labels=np.repeat(np.arange(len(labels), dtype=np.int16), [len(shares) for _, shares in found]),
        shares=np.concatenate([shares for _, shares in found]),
    )


def as_clips(summary: FeatureSummary, labels: Sequence[str], name: str) -> ClipFeatures:
    """Return each centre as a clip of equal segments."""
    names = tuple(f"{name} {i}" for i in range(len(summary.labels)))
    repeats = [max(1, round(REPEATS * float(share))) for share in summary.shares]
    return ClipFeatures(
        collection=name,
        names=names,
        labels=tuple(labels[i] for i in summary.labels),
        groups=names,
        features=tuple(np.repeat(centre[None], n, axis=0) for centre, n in zip(summary.centres, repeats, strict=True)),
    )


def _segments(collections: Sequence[ClipFeatures], label: str) -> Features:
    clips = [zip(each.features, each.labels, strict=True) for each in collections]
    return np.concatenate([features for pairs in clips for features, of in pairs if of == label])


def _centres(segments: Features) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return centres (n_centres, n_features) of (n_segments, n_features), and the share of each."""
    from sklearn.cluster import KMeans

    n_different = len(np.unique(segments, axis=0))
    found = KMeans(min(CENTRES, n_different), n_init=1, random_state=0).fit(segments)
    counts = np.bincount(found.labels_, minlength=found.n_clusters)
    return found.cluster_centers_.astype(np.float32), (counts / counts.sum()).astype(np.float32)

"""The limit beyond which music is unknown, from the distances of held-out clips."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from genrewatch.contract.out_of_set import NearestCentre, OutOfSet, mean_distances
from genrewatch_trainer.adaptation.clip_features import ClipFeatures
from genrewatch_trainer.adaptation.summary import summarise

SHARE_BEYOND = 0.03
"""Share of the segments of known music that may count as unknown."""
LEAST = 0.01
"""Least limit, for toy clips that all lie on a centre."""


def held_out_limit(
    folds: Iterable[tuple[Sequence[ClipFeatures], Sequence[ClipFeatures]]], labels: Sequence[str]
) -> OutOfSet:
    """Return the limit beyond which `SHARE_BEYOND` of the collection that lies farthest is.

    Each fold has the collections to summarise, and clips of collections of music that are held out.
    """
    found: defaultdict[str, list[float]] = defaultdict(list)
    for learned, held_out in folds:
        centres = NearestCentre(summarise(learned, labels))
        for clips in held_out:
            for features in clips.features:
                found[clips.collection] += mean_distances(centres.distances(features))
    limits = [float(np.quantile(distances, 1 - SHARE_BEYOND)) for distances in found.values()]
    return OutOfSet(threshold=round(max(LEAST, *limits), 3))

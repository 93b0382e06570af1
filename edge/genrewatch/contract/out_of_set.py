"""The distance of a segment from what a model was trained on: music far from it is `unknown`.

    z           features / spread of the summary's centres, feature by feature
    distance    min over the centres of mean((z - z_centre) ** 2)         1: as far as the centres lie from their mean

A segment is far if the mean distance of the last `AVERAGED` segments exceeds the threshold in the bundle.
"""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import require
from genrewatch.contract.summary import FeatureSummary
from genrewatch.contract.vote import NO_GENRE, UNKNOWN, Ballot

AVERAGED = 5
LEAST_SPREAD = 1e-3
"""Least spread of a feature, relative to the widest: one that never changes would turn any noise into a distance."""


@dataclass(frozen=True, kw_only=True)
class OutOfSet:
    """The threshold in a manifest."""

    threshold: float
    """Mean distance above which music is unknown, more than 0."""

    def __post_init__(self) -> None:
        require(0 < self.threshold < 1e6, "threshold", self.threshold, "more than 0")


class NearestCentre:
    """Distances of features from the nearest centre of a summary."""

    def __init__(self, summary: FeatureSummary) -> None:
        centres, weights = summary.centres.astype(np.float64), summary.shares.astype(np.float64)
        mean = np.average(centres, axis=0, weights=weights)
        spread = np.sqrt(np.average((centres - mean) ** 2, axis=0, weights=weights))
        widest = float(spread.max())
        self._scale = (1 / np.maximum(spread, LEAST_SPREAD * widest or 1)).astype(np.float32)
        self._centres = summary.centres * self._scale
        self._squares = (self._centres**2).sum(axis=1)

    def distances(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the distance (n_segments,) of features (n_segments, n_features)."""
        scaled = features * self._scale
        squares = (scaled**2).sum(axis=1)[:, None] + self._squares - 2 * scaled @ self._centres.T
        nearest: NDArray[np.float32] = np.maximum(squares.min(axis=1), 0) / scaled.shape[1]
        return nearest


class MeanDistance:
    """Mean distance of the latest segments of a stream."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=AVERAGED)

    def add(self, distance: float) -> float:
        """Return the mean with this segment."""
        self._latest.append(distance)
        return sum(self._latest) / len(self._latest)

    def clear(self) -> None:
        """Forget the segments, as after silence."""
        self._latest.clear()


def mean_distances(distances: NDArray[np.float32]) -> list[float]:
    """Return the mean distance after each segment of a clip, from the distances (n_segments,) of its segments."""
    mean = MeanDistance()
    return [mean.add(float(distance)) for distance in distances]


def counted(ballot: Ballot, *, distance: float | None, far: bool) -> Ballot:
    """Return the ballot with its distance; music that is far counts as `unknown`, speech and noise do not."""
    label = UNKNOWN if far and ballot.label not in NO_GENRE else ballot.label
    return replace(ballot, label=label, distance=distance)

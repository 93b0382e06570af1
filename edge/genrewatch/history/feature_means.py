"""Features of stretches of a spell: a bounded number of means that cover all of it."""

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]


class FeatureMeans:
    """Means over stretches of equal length; where they become too many, neighbours are joined."""

    def __init__(self, most: int) -> None:
        """`most` is the largest number of means."""
        self._most, self._segments = most, 1  # segments of a stretch
        self._sums: list[Features] = []
        self._counts: list[int] = []

    def add(self, features: Features) -> None:
        """Add the (n_features,) features of a segment."""
        if len(self._sums) == self._most and self._counts[-1] == self._segments:
            self._join()
        if self._counts and self._counts[-1] < self._segments:
            self._sums[-1] = self._sums[-1] + features
            self._counts[-1] += 1
        else:
            self._sums.append(features.astype(np.float32))
            self._counts.append(1)

    def means(self) -> Features:
        """Return the (n, n_features) means, in order."""
        return np.stack(self._sums) / np.array(self._counts, np.float32)[:, None]

    def _join(self) -> None:
        self._segments *= 2
        pairs = range(0, len(self._sums), 2)
        self._sums = [np.sum(self._sums[i : i + 2], axis=0) for i in pairs]
        self._counts = [sum(self._counts[i : i + 2]) for i in pairs]

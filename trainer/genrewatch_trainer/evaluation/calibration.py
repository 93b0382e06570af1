"""Temperature of a classifier, from logits only."""

import numpy as np
from numpy.typing import NDArray

from genrewatch.inference.classifier import softmax


def fit_temperature(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """Fit the temperature with the least negative log-likelihood (Guo et al. 2017), between 0.05 and 20."""

    def loss(log_temperature: float) -> float:
        posterior = softmax(logits / np.float32(np.exp(log_temperature)))
        return float(-np.log(np.maximum(posterior[np.arange(len(truth)), truth], 1e-12)).mean())

    low, high = np.log(0.05), np.log(20.0)
    for _ in range(60):  # the loss has one minimum: each step keeps two thirds of the interval
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return round(float(np.exp((low + high) / 2)), 4)

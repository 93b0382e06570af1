"""Multinomial logistic regression with weights, in numpy only: a device has neither scikit-learn nor SciPy.

The loss is that of `genrewatch_trainer.distillation.regression`, and so is the head, to the precision of the fit. The
minimum is found by L-BFGS (Nocedal and Wright, "Numerical Optimization", algorithm 7.5) with a backtracking line
search; there are a few hundred rows at most.
"""

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from genrewatch.inference.head import Head

Values = NDArray[np.float64]
Loss = Callable[[Values], tuple[float, Values]]

MOST_STEPS = 300
PAIRS = 10
"""Steps from which the curvature is estimated."""
TOLERANCE = 1e-4
"""Largest element of the gradient, relative to the weight of the rows, at which the fit ends."""


def fit_head(
    features: NDArray[np.float32], labels: NDArray[np.int64], weights: Values, n_labels: int, strength: float
) -> Head:
    """Fit a head on (n, n_features) features with (n,) labels and weights; `strength` is scikit-learn's C.

    The regression sees standardised features; the scaling is folded into the head.
    """
    mean = np.average(features, axis=0, weights=weights).astype(np.float64)
    deviation = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    deviation[deviation == 0] = 1.0
    rows, targets = (features - mean) / deviation, np.eye(n_labels)[labels]
    left, sizes, right = np.linalg.svd(rows, full_matrices=False)  # the weights lie in the space of the rows
    x = left * sizes
    shape = x.shape[1], n_labels

    def loss(flat: Values) -> tuple[float, Values]:
        w, b = flat[: -shape[1]].reshape(shape), flat[-shape[1] :]
        logits = x @ w + b
        log_posterior = logits - logits.max(axis=1, keepdims=True)
        log_posterior -= np.log(np.exp(log_posterior).sum(axis=1, keepdims=True))
        error = (np.exp(log_posterior) - targets) * weights[:, None]
        cross_entropy = -float(weights @ (targets * log_posterior).sum(axis=1))
        gradient = np.concatenate([(x.T @ error + w / strength).ravel(), error.sum(axis=0)])
        return cross_entropy + float((w**2).sum()) / 2 / strength, gradient

    found = minimise(loss, np.zeros((shape[0] + 1) * shape[1]), TOLERANCE * float(weights.sum()))
    fitted, offsets = right.T @ found[: -shape[1]].reshape(shape) / deviation[:, None], found[-shape[1] :]
    return Head(weights=fitted.T.astype(np.float32), offsets=(offsets - mean @ fitted).astype(np.float32))


def minimise(loss: Loss, start: Values, tolerance: float) -> Values:
    """Return where a smooth convex function is smallest; it ends where no gradient element exceeds `tolerance`."""
    pairs: deque[tuple[Values, Values]] = deque(maxlen=PAIRS)
    at, (value, gradient) = start, loss(start)
    for _ in range(MOST_STEPS):
        if float(np.abs(gradient).max()) <= tolerance:
            break
        direction = -_times_inverse_curvature(gradient, pairs)
        slope, length = float(direction @ gradient), 1.0 if pairs else 1 / float(np.abs(gradient).sum())
        while True:
            there = at + length * direction
            new_value, new_gradient = loss(there)
            if new_value <= value + 1e-4 * length * slope or length < 1e-12:
                break
            length /= 2
        step, change = there - at, new_gradient - gradient
        if float(step @ change) > 1e-12:
            pairs.append((step, change))
        at, value, gradient = there, new_value, new_gradient
    return at


def _times_inverse_curvature(gradient: Values, pairs: deque[tuple[Values, Values]]) -> Values:
    """Return the two-loop recursion of L-BFGS."""
    q, factors = gradient.copy(), []
    for step, change in reversed(pairs):
        factor = float(step @ q) / float(step @ change)
        q -= factor * change
        factors.append(factor)
    if pairs:
        step, change = pairs[-1]
        q *= float(step @ change) / float(change @ change)
    for (step, change), factor in zip(pairs, reversed(factors), strict=True):
        q += step * (factor - float(change @ q) / float(step @ change))
    return q

"""Multinomial logistic regression with soft labels and weights, folded into a dense layer."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError

if TYPE_CHECKING:  # its module needs Keras, this one does not
    from genrewatch_trainer.distillation.features import LabelledFeatures

MOST_STEPS = 2000


def fit_head(data: "LabelledFeatures", strength: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit weights (n_features, n_labels) and offsets (n_labels,) of the layer `logits`.

    The features are standardised for the regression; the scaling is folded into the layer. Raises DataError where
    there are fewer than three labels or one of them has no clip.
    """
    found, n_labels = int((data.soft_labels.max(axis=0) > 0).sum()), data.soft_labels.shape[1]
    if found != n_labels or n_labels < 3:
        raise DataError("readout", f"clips of {found} labels", "three or more, each with clips")
    weights, offsets = fit_layer(data.features, data.soft_labels, data.weights, strength)
    return weights.astype(np.float32), offsets.astype(np.float32)


def fit_layer(
    features: NDArray[np.floating], soft_labels: NDArray[np.float64], weights: NDArray[np.float64], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit weights (n_features, n_labels) and offsets (n_labels,) of a layer on (n, n_features) features.

    The regression sees standardised features; the scaling is folded into the layer.
    """
    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1.0
    x = (features - mean.astype(np.float32)) / deviation.astype(np.float32)
    fitted, offsets = regression(x, soft_labels, weights, strength)
    fitted = fitted / deviation[:, None]
    return fitted, offsets - mean @ fitted


def regression(
    x: NDArray[np.floating], soft_labels: NDArray[np.float64], weights: NDArray[np.float64], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit weights (n_features, n_labels) and offsets (n_labels,) that minimise scikit-learn's multinomial loss

        strength sum_i w_i H(soft_labels_i, softmax(x_i W + b)) + |W|^2 / 2

    which scikit-learn itself has for hard labels only. H is the cross-entropy. Products have the precision of `x`.
    """
    from scipy.optimize import minimize

    shape = x.shape[1], soft_labels.shape[1]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w, b = flat[: -shape[1]].reshape(shape), flat[-shape[1] :]
        logits = x @ w.astype(x.dtype) + b
        log_posterior = logits - logits.max(axis=1, keepdims=True)
        log_posterior -= np.log(np.exp(log_posterior).sum(axis=1, keepdims=True))
        error = (np.exp(log_posterior) - soft_labels) * weights[:, None]
        cross_entropy = -float(weights @ (soft_labels * log_posterior).sum(axis=1))
        gradient = np.concatenate([(x.T @ error.astype(x.dtype) + w / strength).ravel(), error.sum(axis=0)])
        return cross_entropy + float((w**2).sum()) / 2 / strength, gradient

    start = np.zeros((shape[0] + 1) * shape[1])
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS}
    )
    return found.x[: -shape[1]].reshape(shape), found.x[-shape[1] :]

"""Curves of a classifier from its posteriors: ROC, risk and coverage, reliability, accuracy by duration."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.front_end import FrontEndConfig
from genrewatch_trainer.evaluation.metrics import CALIBRATION_BINS, mean_top1, vote_top1

Curve = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Roc:
    """One label against the rest."""

    false_rate: Curve
    """False positive rate, by falling threshold."""
    true_rate: Curve
    """True positive rate."""
    auc: float
    """Area below the curve: the probability that a clip of the label scores higher than one of the rest."""


def roc_of(posterior: NDArray[np.float32], truth: NDArray[np.int64], label: int) -> Roc | None:
    """Return the ROC of posteriors (n, n_labels); None if the label or the rest does not occur."""
    from sklearn.metrics import roc_auc_score, roc_curve

    positive = truth == label
    if positive.all() or not positive.any():
        return None
    false_rate, true_rate, _ = roc_curve(positive, posterior[:, label])
    return Roc(false_rate=false_rate, true_rate=true_rate, auc=float(roc_auc_score(positive, posterior[:, label])))


def risk_coverage(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> tuple[Curve, Curve]:
    """Return coverage and risk (share of errors among the covered) when the most confident are answered first.

    Clips of equal confidence are covered together, so their order does not matter (El-Yaniv and Wiener 2010).
    """
    order = np.argsort(-confidence, kind="stable")
    n_covered = np.arange(1, len(order) + 1)
    risk = np.cumsum(~right[order]) / n_covered
    last_of_equals = np.append(np.diff(confidence[order]) != 0, True)
    return (n_covered / len(order))[last_of_equals], risk[last_of_equals]


def mean_risk(coverage: Curve, risk: Curve) -> float:
    """Return the risk averaged over all coverages; 0 is perfect."""
    return float((np.diff(coverage, prepend=0) * risk).sum())


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Answers by confidence, in equal bins; bins without an answer are left out."""

    confidence: Curve
    """Mean confidence of each bin."""
    accuracy: Curve
    """Share of right answers in each bin."""
    count: NDArray[np.int64]
    """Answers in each bin."""


def reliability(posterior: NDArray[np.float32], truth: NDArray[np.int64]) -> Reliability:
    """Return the reliability of posteriors (n, n_labels), in the bins of `calibration_error`."""
    confidence, right = posterior.max(axis=1), posterior.argmax(axis=1) == truth
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    filled = count > 0
    return Reliability(
        confidence=np.bincount(bins, confidence, CALIBRATION_BINS)[filled] / count[filled],
        accuracy=np.bincount(bins, right, CALIBRATION_BINS)[filled] / count[filled],
        count=count[filled],
    )


@dataclass(frozen=True, kw_only=True)
class DurationAccuracy:
    """Accuracy when only the first segments of each clip are used."""

    seconds: float
    by_mean: float
    by_vote: float
    """Refusals counted as errors."""
    coverage: float
    """Share of clips that the vote does not refuse."""


def accuracy_by_duration(
    posteriors: Sequence[NDArray[np.float32]],
    truth: NDArray[np.int64],
    front_end: FrontEndConfig,
    hop_frames: int,
) -> list[DurationAccuracy]:
    """Return the accuracy after each segment, up to the number that every clip has."""
    rows = []
    for n_segments in range(1, min(map(len, posteriors)) + 1):
        first = [p[:n_segments] for p in posteriors]
        voted = vote_top1(first)
        n_samples = front_end.segment_samples + (n_segments - 1) * hop_frames * front_end.hop_length
        rows.append(
            DurationAccuracy(
                seconds=n_samples / front_end.sample_rate,
                by_mean=float((mean_top1(first) == truth).mean()),
                by_vote=float((voted == truth).mean()),
                coverage=float((voted >= 0).mean()),
            )
        )
    return rows

"""Metrics of a classifier from its posteriors: pure functions, shared by training, evaluation and export.

A clip gets two answers from all its segments: the label of the greatest mean posterior, and by the paper's eq. 2 the
label with more than half of the segments' votes, else refused. A refusal is an error, except in `accuracy_on_covered`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract import vote
from genrewatch.contract.bundle import Threshold
from genrewatch.contract.filter import LabelChain, smoothed_states
from genrewatch.contract.vote import VoteConfig, majority

REFUSED = "refused"
CALIBRATION_BINS = 15
SIMULATIONS = 200
SHARPNESSES = tuple(round(0.2 + 0.05 * step, 2) for step in range(77))  # 0.2 to 4
FEWEST_VERDICTS = 20
"""A threshold is suggested only where at least this many verdicts are above it."""


def clip_metrics(
    posteriors: Sequence[NDArray[np.float32]],
    labels: Sequence[int],
    sharpness: float = 1.0,
    *,
    filtered: Sequence[NDArray[np.float32]] | None = None,
) -> dict[str, float | int]:
    """Compute all metrics from posteriors (n_segments, n_labels) and label of each clip; shares are from 0 to 1.

    `sharpness` is the vote's: the exponent that turns mean posteriors into a verdict's confidence. `filtered` are the
    posteriors that cast the votes, see `vote_posteriors`; by default the segments' own.
    """
    filtered = posteriors if filtered is None else filtered
    truth = np.asarray(labels)
    stacked = np.concatenate(list(posteriors))
    truth_of_segment = np.repeat(truth, [len(p) for p in posteriors])
    voted = vote_top1(filtered)
    covered = voted >= 0
    confidence, right = verdict_confidence(filtered, voted, sharpness), (voted == truth)[covered]
    return {
        "n_clips": len(posteriors),
        "n_segments": len(stacked),
        "segment_accuracy": float((stacked.argmax(1) == truth_of_segment).mean()),
        "segment_nll": negative_log_likelihood(stacked, truth_of_segment),
        "segment_ece": calibration_error(stacked, truth_of_segment),
        "clip_accuracy_mean": float((mean_top1(posteriors) == truth).mean()),
        "clip_accuracy_vote": float((voted == truth).mean()),
        "refused": int((~covered).sum()),
        "coverage": float(covered.mean()),
        "accuracy_on_covered": float(right.mean()) if covered.any() else 0.0,
        "verdict_ece": binned_error(confidence, right),
        "verdict_ece_by_chance": error_by_chance(confidence),
    }


def vote_posteriors(
    posteriors: Sequence[NDArray[np.float32]], config: VoteConfig, *, hop: int, sample_rate: int
) -> list[NDArray[np.float32]]:
    """Return the posteriors (n_segments, n_labels) of each clip that cast its votes: smoothed where a filter is set.

    `hop` is the number of samples between segments.
    """
    if config.filter == "none":
        return list(posteriors)
    chain = LabelChain(config, posteriors[0].shape[1], sample_rate)
    return [smoothed_states(list(p), range(0, hop * len(p), hop), chain)[:, :-1].astype(np.float32) for p in posteriors]


def mean_top1(posteriors: Sequence[NDArray[np.float32]]) -> NDArray[np.int64]:
    """Return (n_clips,) the label of the greatest mean posterior."""
    return np.array([int(p.mean(axis=0).argmax()) for p in posteriors], np.int64)


def vote_top1(posteriors: Sequence[NDArray[np.float32]]) -> NDArray[np.int64]:
    """Return (n_clips,) the label with more than half of the segments' votes, -1 where refused."""
    winners = []
    for p in posteriors:
        votes = Counter(str(top1) for top1 in p.argmax(axis=1))
        winner = majority(dict(votes), total=len(p))
        winners.append(-1 if winner is None else int(winner))
    return np.array(winners, np.int64)


def negative_log_likelihood(posterior: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """Return the mean of -ln p(true label) over the rows of (n, n_labels), in nats."""
    given = posterior[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.maximum(given, 1e-12)).mean())


def calibration_error(posterior: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """Return the expected calibration error over 15 equal bins of confidence (Guo et al. 2017)."""
    return binned_error(posterior.max(axis=1), posterior.argmax(axis=1) == truth)


def verdict_confidence(
    posteriors: Sequence[NDArray[np.float32]], voted: NDArray[np.int64], sharpness: float
) -> NDArray[np.float32]:
    """Return (n_covered,) the `confidence` of a payload, for each clip whose vote has a winner."""
    won = [(p, int(v)) for p, v in zip(posteriors, voted, strict=True) if v >= 0]
    return np.array([vote.confidence(list(p), v, sharpness) for p, v in won], np.float32)


def fit_sharpness(posteriors: Sequence[NDArray[np.float32]], labels: Sequence[int]) -> float:
    """Return the sharpness with the greatest likelihood, given which verdicts on these clips are right."""
    voted = vote_top1(posteriors)
    covered = voted >= 0
    if covered.sum() < FEWEST_VERDICTS:
        return 1.0
    right, winner = (voted == np.asarray(labels))[covered], (np.arange(covered.sum()), voted[covered])
    means = np.array([p.mean(axis=0, dtype=np.float64) for p in posteriors])[covered]

    def loss(sharpness: float) -> float:
        sharpened = means**sharpness  # as in genrewatch.contract.vote.confidence
        confidence = np.clip(sharpened[winner] / sharpened.sum(axis=1), 1e-6, 1 - 1e-6)
        return float(-np.log(np.where(right, confidence, 1 - confidence)).sum())

    return min(SHARPNESSES, key=loss)


def fit_vote(
    posteriors: Sequence[NDArray[np.float32]], labels: Sequence[int], vote: VoteConfig, *, hop: int, sample_rate: int
) -> VoteConfig:
    """Return the vote with its sharpness fitted on these clips, with and without the filter; see `vote_posteriors`."""
    filtered = vote_posteriors(posteriors, replace(vote, filter="hmm"), hop=hop, sample_rate=sample_rate)
    return replace(vote, sharpness=fit_sharpness(filtered, labels), plain_sharpness=fit_sharpness(posteriors, labels))


def binned_error(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error of answers with these confidences; 0 for no answers."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [abs(float(confidence[bins == b].sum() - right[bins == b].sum())) for b in np.unique(bins)]
    return sum(gaps) / max(1, len(right))


def error_by_chance(confidence: NDArray[np.float32]) -> float:
    """Return the mean calibration error that perfectly calibrated answers with these confidences would show.

    The error of few answers is never 0, even with perfect confidences: compare a measured error with this one.
    """
    rng = np.random.default_rng(0)
    drawn = rng.random((SIMULATIONS, len(confidence))) < confidence
    return float(np.mean([binned_error(confidence, right) for right in drawn]))


def thresholds(
    posteriors: Sequence[NDArray[np.float32]],
    labels: Sequence[int],
    accuracies: Sequence[float],
    sharpness: float = 1.0,
) -> tuple[Threshold, ...]:
    """Return for each accuracy the lowest confidence above which the verdicts on these clips reach it."""
    voted = vote_top1(posteriors)
    covered = voted >= 0
    confidence = verdict_confidence(posteriors, voted, sharpness)
    order = np.argsort(-confidence, kind="stable")
    share_right = np.cumsum((voted == np.asarray(labels))[covered][order]) / np.arange(1, len(order) + 1)
    last_of_equals = np.append(np.diff(confidence[order]) < 0, True)[: len(order)]  # all of them are above, or none
    found = []
    for accuracy in accuracies:
        enough = np.flatnonzero((share_right >= accuracy) & last_of_equals)
        n = int(enough[-1]) + 1 if len(enough) else 0
        reached = n >= FEWEST_VERDICTS
        found.append(
            Threshold(
                accuracy=accuracy,
                confidence=round(float(confidence[order[n - 1]]), 4) if reached else None,
                coverage=round(n / len(posteriors), 4) if reached else None,
            )
        )
    return tuple(found)


def confusion(truth: Sequence[int], decided: Sequence[int], n_labels: int) -> NDArray[np.int64]:
    """Return counts (n_labels, n_labels + 1): rows are true labels, columns predicted ones, the last refused (-1)."""
    table = np.zeros((n_labels, n_labels + 1), np.int64)
    for true, found in zip(truth, decided, strict=True):
        table[true, found if found >= 0 else n_labels] += 1
    return table


def genre_report(truth: Sequence[int], decided: Sequence[int], labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return precision, recall, F1 and support of each genre and, as `mean`, their mean; a refusal (-1) is a miss."""
    from sklearn.metrics import precision_recall_fscore_support

    ids = list(range(len(labels)))
    columns = precision_recall_fscore_support(truth, decided, labels=ids, zero_division=0.0)
    table = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
    names = ("precision", "recall", "f1", "support")
    report = {label: dict(zip(names, map(float, row), strict=True)) for label, row in zip(labels, table, strict=True)}
    mean = dict(zip(names[:3], map(float, table[:, :3].mean(axis=0)), strict=True))
    return report | {"mean": mean | {"support": float(table[:, 3].sum())}}

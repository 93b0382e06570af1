"""Confidence: calibration of verdicts, the error that chance shows, thresholds."""

from dataclasses import replace

import numpy as np
import pytest

from genrewatch.contract.vote import VoteConfig
from genrewatch_trainer.evaluation.metrics import (
    binned_error,
    clip_metrics,
    error_by_chance,
    fit_sharpness,
    fit_vote,
    thresholds,
    vote_posteriors,
)


def sure(label: int, confidence: float) -> np.ndarray:
    """Two equal segments of two labels with this confidence in `label`."""
    row = [1 - confidence, confidence] if label else [confidence, 1 - confidence]
    return np.array([row, row], np.float32)


def test_the_calibration_of_verdicts_is_that_of_the_winners_mean_posterior() -> None:
    refused = np.array([[0.9, 0.1], [0.1, 0.9]], np.float32)
    figures = clip_metrics([sure(0, 0.9), sure(0, 0.9), refused], [0, 1, 0])
    assert figures["verdict_ece"] == pytest.approx(0.4)  # 0.9 sure, half right; a refusal has no confidence
    assert clip_metrics([refused], [0])["verdict_ece"] == 0


@pytest.mark.parametrize("true_sharpness", [0.7, 1.0, 2.0])
def test_the_sharpness_that_is_found_makes_confidences_come_true(
    true_sharpness: float, rng: np.random.Generator
) -> None:
    shares = rng.uniform(0.5, 0.95, 4000)
    chance = shares**true_sharpness / (shares**true_sharpness + (1 - shares) ** true_sharpness)
    labels = (rng.random(4000) >= chance).astype(int).tolist()
    clips = [sure(0, share) for share in shares]
    assert fit_sharpness(clips, labels) == pytest.approx(true_sharpness, abs=0.15)
    assert clip_metrics(clips, labels, fit_sharpness(clips, labels))["verdict_ece"] < 0.03
    assert fit_sharpness(clips[:5], labels[:5]) == 1.0, "too few to fit"


def test_votes_with_and_without_a_filter_get_a_sharpness_each(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 2, 600).tolist()
    clips = []
    for label in labels:  # eight segments that err together, as those of a clip do
        share = np.clip(rng.normal(0.62, 0.15), 0.05, 0.95)
        clips.append(np.tile(np.array([[1 - share, share] if label else [share, 1 - share]], np.float32), (8, 1)))
    vote = VoteConfig(segment_hop=10, filter="hmm", expected_duration_s=600.0)
    fitted = fit_vote(clips, labels, vote, hop=10, sample_rate=10)
    assert fitted.plain_sharpness == fit_sharpness(clips, labels)
    assert fitted.sharpness == fit_sharpness(vote_posteriors(clips, vote, hop=10, sample_rate=10), labels)
    assert fitted.sharpness < fitted.plain_sharpness  # type: ignore[operator]  # the filter is surer than it is right
    assert (fitted.sharpness_used, replace(fitted, filter="none").sharpness_used) == (
        fitted.sharpness,
        fitted.plain_sharpness,
    )
    plain = fit_vote(clips, labels, replace(vote, filter="none"), hop=10, sample_rate=10)
    assert (plain.sharpness, plain.plain_sharpness) == (fitted.sharpness, fitted.plain_sharpness)


def test_few_answers_are_off_by_chance_and_many_are_not() -> None:
    few, many = (np.full(n, 0.7, np.float32) for n in (20, 20_000))
    assert 0.05 < error_by_chance(few) < 0.15
    assert error_by_chance(many) < 0.01
    assert binned_error(many, np.arange(len(many)) % 10 < 7) == pytest.approx(0, abs=1e-3)


def test_a_threshold_is_the_lowest_confidence_that_keeps_its_promise_on_enough_clips() -> None:
    clips = [sure(0, 0.9)] * 30 + [sure(0, 0.7)] * 10 + [sure(0, 0.6)] * 20
    labels = [0] * 30 + [0] * 5 + [1] * 5 + [1] * 20
    found = {limit.accuracy: limit for limit in thresholds(clips, labels, (0.85, 0.95))}
    assert (found[0.85].confidence, found[0.85].coverage) == (pytest.approx(0.7), pytest.approx(40 / 60, abs=1e-4))
    assert (found[0.95].confidence, found[0.95].coverage) == (pytest.approx(0.9), pytest.approx(30 / 60))
    few = thresholds([sure(0, 0.9)] * 5, [0] * 5, (0.9,))
    assert (few[0].confidence, few[0].coverage) == (None, None)

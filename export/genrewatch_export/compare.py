"""The forms of a network compared on held-out clips, all through the device's own classifier.

float32    as trained
dynamic    int8 weights, float32 arithmetic ("dynamic range")
int8       the form in a bundle: int8 weights and activations
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import Threshold
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEnd
from genrewatch.contract.vote import VoteConfig
from genrewatch.inference.classifier import Classifier, softmax
from genrewatch_trainer.evaluation.calibration import fit_temperature
from genrewatch_trainer.evaluation.metrics import clip_metrics, fit_vote, thresholds, vote_posteriors
from genrewatch_trainer.run import HeldOutClip, Run
from genrewatch_trainer.training.feed import clip_segments

Logits = NDArray[np.float32]
FLOAT32, DYNAMIC, INT8 = "float32", "dynamic", "int8"
ACCURACIES = (0.9, 0.95)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Largest costs of quantization; beyond them no bundle is written."""

    accuracy_drop: float = 0.005
    """Loss of clip accuracy by mean posterior, a fraction; one clip is always allowed, the smallest step there is."""
    posterior_error: float = 0.05
    """Mean absolute difference of a probability."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """The measurements of one form of a network."""

    metrics: dict[str, float | int]
    """From `genrewatch_trainer.evaluation.metrics.clip_metrics`."""
    n_bytes: int
    """Size of the TFLite file."""
    ms: float
    """Median CPU time per segment on the exporting machine, one thread, in ms."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The cost of quantization."""

    part: str
    """Part of the split with the clips that were compared."""
    forms: dict[str, Form]
    """By name, float32 first."""
    accuracy_drop: float
    """Clip accuracy by mean posterior of float32 minus that of int8."""
    posterior_error: float
    """Mean absolute difference of their probabilities."""

    def as_metrics(self) -> dict[str, Any]:
        """Return the manifest's `metrics`."""
        forms = {name: form.metrics | {"bytes": form.n_bytes, "ms": form.ms} for name, form in self.forms.items()}
        rest = {key: value for key, value in asdict(self).items() if key != "forms"}
        return {"part": self.part} | forms | rest

    def table(self) -> list[str]:
        """Return a table as lines, one per form."""
        lines = [f"{'':8}  clip mean  clip vote  segment        kB  ms a segment"]
        for name, form in self.forms.items():
            shares = [
                form.metrics[f"{key}"] for key in ("clip_accuracy_mean", "clip_accuracy_vote", "segment_accuracy")
            ]
            mean, vote, segment = (f"{share:.1%}" for share in shares)
            lines.append(f"{name:8}  {mean:>9}  {vote:>9}  {segment:>7}  {form.n_bytes / 1000:8.1f}  {form.ms:12.3f}")
        return lines


def clip_logits(classifier: Classifier, clips: Sequence[HeldOutClip], run: Run) -> list[Logits]:
    """Compute logits (n_segments, n_labels) of each clip, its segments at the recipe's hop."""
    front_end = FrontEnd(run.front_end)
    logits = []
    for clip in clips:
        segments = clip_segments(clip.power_db, front_end, run.recipe.segment_hop_frames)
        logits.append(np.stack([classifier.logits(segment) for segment in segments]))
    return logits


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Temperature from logits to probabilities, and the accuracy that comes with a confidence."""

    temperature: float
    thresholds: tuple[Threshold, ...]
    sharpness: float = 1.0
    """Exponent of the mean posterior in a verdict's confidence."""
    plain_sharpness: float | None = None
    """The same without a filter."""

    def apply(self, vote: VoteConfig) -> VoteConfig:
        """Return a vote with this sharpness."""
        return replace(vote, sharpness=self.sharpness, plain_sharpness=self.plain_sharpness)


NOT_CALIBRATED = Calibration(temperature=1.0, thresholds=())


def calibrate(classifier: Classifier, run: Run, part: str, vote: VoteConfig) -> Calibration:
    """Fit temperature, then the vote's sharpness and thresholds, of a classifier on a held-out part of its own run."""
    clips = run.held_out(part)
    logits = clip_logits(classifier, clips, run)
    truth = _truth(clips, run)
    temperature = fit_temperature(np.concatenate(logits), np.repeat(truth, [len(clip) for clip in logits]))
    posteriors = [softmax(clip / np.float32(temperature)) for clip in logits]
    filtered = _filtered(posteriors, run, vote)
    hop = run.recipe.segment_hop_frames * run.front_end.hop_length
    fitted = fit_vote(posteriors, truth, vote, hop=hop, sample_rate=run.front_end.sample_rate)
    found = thresholds(filtered, truth, ACCURACIES, fitted.sharpness_used)
    return Calibration(
        temperature=temperature,
        thresholds=found,
        sharpness=fitted.sharpness,
        plain_sharpness=fitted.plain_sharpness,
    )


def compare(models: Mapping[str, bytes], run: Run, part: str, calibration: Calibration, vote: VoteConfig) -> Comparison:
    """Measure the forms of a network on a held-out part with one calibration; float32 and int8 must be among them."""
    temperature = calibration.temperature
    clips = run.held_out(part)
    truth = _truth(clips, run)
    forms: dict[str, Form] = {}
    posteriors: dict[str, list[NDArray[np.float32]]] = {}
    for name, content in models.items():
        classifier = Classifier(content)
        posteriors[name] = [softmax(clip / np.float32(temperature)) for clip in clip_logits(classifier, clips, run)]
        filtered = _filtered(posteriors[name], run, vote)
        metrics = clip_metrics(posteriors[name], truth, calibration.apply(vote).sharpness_used, filtered=filtered)
        forms[name] = Form(metrics=metrics, n_bytes=len(content), ms=_ms(classifier, run.representative()))
    drop = forms[FLOAT32].metrics["clip_accuracy_mean"] - forms[INT8].metrics["clip_accuracy_mean"]
    difference = np.abs(np.concatenate(posteriors[FLOAT32]) - np.concatenate(posteriors[INT8]))
    return Comparison(part=part, forms=forms, accuracy_drop=float(drop), posterior_error=float(difference.mean()))


def _filtered(posteriors: list[NDArray[np.float32]], run: Run, vote: VoteConfig) -> list[NDArray[np.float32]]:
    """Return the posteriors that cast each clip's votes."""
    hop = run.recipe.segment_hop_frames * run.front_end.hop_length
    return vote_posteriors(posteriors, vote, hop=hop, sample_rate=run.front_end.sample_rate)


def check_limits(comparison: Comparison, limits: Limits, where: str) -> None:
    """Raise DataError where quantization costs more than the limits."""
    one_clip = 1 / comparison.forms[INT8].metrics["n_clips"] + 1e-9
    allowed = {"accuracy_drop": max(limits.accuracy_drop, one_clip), "posterior_error": limits.posterior_error}
    for name, limit in allowed.items():
        found = getattr(comparison, name)
        if not found <= limit:
            remedy = f"at most {limit:.4g}; --float-layers N keeps the N costliest layers in float32"
            raise DataError(f"{where}: {name}", f"int8 differs from float by {found:.4f}", remedy)


def _truth(clips: Sequence[HeldOutClip], run: Run) -> list[int]:
    return [run.labels.index(clip.label) for clip in clips]


def _ms(classifier: Classifier, segments: NDArray[np.float32]) -> float:
    times = []
    for segment in segments:
        start = time.process_time()
        classifier.logits(segment)
        times.append(time.process_time() - start)
    return round(1000 * float(np.median(times)), 3)

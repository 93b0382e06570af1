"""Float and int8 side by side on held-out clips, both through `edge.classifier`, as a device would run them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.classifier import Classifier, softmax
from edge.contract.errors import DataError
from edge.contract.front_end import FrontEnd
from trainer.feed import clip_segments
from trainer.metrics import clip_metrics
from trainer.run import HeldOutClip, Run

Logits = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Beyond these an int8 network is not written."""

    accuracy_drop: float = 0.02
    """Loss of segment accuracy, fraction."""
    posterior_error: float = 0.05
    """Mean absolute difference of a probability."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What quantization cost."""

    part: str
    """Part of the split that it was measured on."""
    float32: dict[str, float | int]
    """Figures of `trainer.metrics.clip_metrics`."""
    int8: dict[str, float | int]
    """The same of the quantized network."""
    accuracy_drop: float
    """Segment accuracy of float less that of int8."""
    posterior_error: float
    """Mean absolute difference of their probabilities."""


def clip_logits(classifier: Classifier, clips: Sequence[HeldOutClip], run: Run) -> list[Logits]:
    """(n_segments, n_labels) logits of each clip, segments as the run's recipe cuts them."""
    front_end = FrontEnd(run.front_end)
    logits = []
    for clip in clips:
        segments = clip_segments(clip.power_db, front_end, run.recipe.segment_hop_frames)
        logits.append(np.stack([classifier.logits(segment) for segment in segments]))
    return logits


def fit_temperature(logits: Logits, truth: NDArray[np.int64]) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al. 2017), searched over 0.05 to 20."""

    def loss(log_temperature: float) -> float:
        posterior = softmax(logits / np.float32(np.exp(log_temperature)))
        return float(-np.log(np.maximum(posterior[np.arange(len(truth)), truth], 1e-12)).mean())

    low, high = np.log(0.05), np.log(20.0)
    for _ in range(60):  # the loss has one minimum: each step keeps two thirds of the interval
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return round(float(np.exp((low + high) / 2)), 4)


def calibrate(classifier: Classifier, run: Run, part: str) -> float:
    """Temperature of a classifier on a held-out part of its own run."""
    clips = run.held_out(part)
    logits = clip_logits(classifier, clips, run)
    truth = np.repeat([run.labels.index(clip.label) for clip in clips], [len(clip) for clip in logits])
    return fit_temperature(np.concatenate(logits), truth)


def compare(float_model: Classifier, int8_model: Classifier, run: Run, part: str, temperature: float) -> Comparison:
    """Both networks on a held-out part, at one temperature."""
    clips = run.held_out(part)
    truth = [run.labels.index(clip.label) for clip in clips]
    posteriors: dict[str, list[Any]] = {
        name: [softmax(logits / np.float32(temperature)) for logits in clip_logits(model, clips, run)]
        for name, model in (("float32", float_model), ("int8", int8_model))
    }
    figures = {name: clip_metrics(found, truth) for name, found in posteriors.items()}
    difference = np.abs(np.concatenate(posteriors["float32"]) - np.concatenate(posteriors["int8"]))
    return Comparison(
        part=part,
        float32=figures["float32"],
        int8=figures["int8"],
        accuracy_drop=float(figures["float32"]["segment_accuracy"] - figures["int8"]["segment_accuracy"]),
        posterior_error=float(difference.mean()),
    )


def check_limits(comparison: Comparison, limits: Limits, where: str) -> None:
    """DataError when quantization cost more than the limits allow."""
    for name in ("accuracy_drop", "posterior_error"):
        found, limit = getattr(comparison, name), getattr(limits, name)
        if not found <= limit:
            raise DataError(f"{where}: {name}", f"int8 differs from float by {found:.4f}", f"at most {limit:g}")

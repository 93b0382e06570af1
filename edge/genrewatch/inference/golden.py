"""Golden vectors: one segment by which a device checks that it computes the same as the exporter did."""

from dataclasses import dataclass

import numpy as np

from genrewatch.contract.bundle import Bundle, GoldenVectors
from genrewatch.contract.errors import BundleError
from genrewatch.contract.front_end import FrontEnd
from genrewatch.inference.classifier import Classifier

LOG_MEL_LIMIT = 1e-4
"""Largest accepted difference of a log-mel cell in [0, 1]; processors differ by about 1e-6."""
POSTERIOR_LIMIT = 0.02
"""Largest accepted difference of a probability; a cell may round to either neighbouring quantization step."""


@dataclass(frozen=True, kw_only=True)
class GoldenReport:
    """Largest absolute differences from the golden vectors."""

    log_mel: float
    posterior: float


def make_golden(samples: np.ndarray, front_end: FrontEnd, classifier: Classifier) -> GoldenVectors:
    """Compute the golden vectors of (segment_samples,) int16 samples on this machine."""
    draft = GoldenVectors(samples=samples, log_mel=np.empty((0, 0), np.float32), posterior=np.empty(0, np.float32))
    log_mel = front_end.log_mel(draft.waveform)
    return GoldenVectors(samples=samples, log_mel=log_mel, posterior=classifier.posterior(log_mel))


def check_golden(bundle: Bundle, classifier: Classifier) -> GoldenReport:
    """Recompute the golden vectors on this machine; BundleError if they differ by more than the limits."""
    log_mel = FrontEnd(bundle.manifest.front_end).log_mel(bundle.golden.waveform)
    posterior = classifier.posterior(log_mel)
    report = GoldenReport(
        log_mel=float(np.abs(log_mel - bundle.golden.log_mel).max()),
        posterior=float(np.abs(posterior - bundle.golden.posterior).max()),
    )
    where = str(bundle.path / "golden.npz")
    if not report.log_mel <= LOG_MEL_LIMIT:
        raise BundleError(where, f"log-mel differs by {report.log_mel:.2g}", f"at most {LOG_MEL_LIMIT:g}")
    if not report.posterior <= POSTERIOR_LIMIT:
        raise BundleError(where, f"posterior differs by {report.posterior:.2g}", f"at most {POSTERIOR_LIMIT:g}")
    return report


def check_finite(bundle: Bundle, classifier: Classifier) -> None:
    """Classify a silent, a full and a noisy log-mel; BundleError if a posterior is not finite."""
    config = bundle.manifest.front_end
    shape = config.segment_frames, config.n_mels
    noise = np.random.default_rng(0).random(shape, np.float32)
    for log_mel in (np.zeros(shape, np.float32), np.ones(shape, np.float32), noise):
        classifier.posterior(log_mel)

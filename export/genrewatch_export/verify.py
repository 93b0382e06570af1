"""`genrewatch-export verify`: all checks of an export on this machine, a line each.

`genrewatch doctor` checks what needs only the device. This adds the lab's checks: the log-mel against librosa, and the
waveform model beside the bundle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from genrewatch import programme
from genrewatch.audio.decoding import read_filtered
from genrewatch.audio.resample import Resampler
from genrewatch.contract.bundle import Bundle, load_bundle
from genrewatch.contract.errors import BundleError, GenrewatchError
from genrewatch.contract.front_end import FrontEnd, Samples
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.golden import check_golden
from genrewatch.inference.runtime import runtime_version
from genrewatch_export.metadata import labels_of
from genrewatch_export.waveform import POSTERIOR_LIMIT, WaveformModel

DEMO_S = 45
QUIETER_DB = 20
LEVEL_LIMIT = 0.02
"""Largest difference of a probability between a sound and the same sound `QUIETER_DB` quieter."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """The result of one check."""

    name: str
    result: Literal["ok", "absent", "wrong"]
    """`absent`: a library that the check needs is not installed."""
    detail: str


def verify(path: Path, *, waveform: Path | None, audio: Sequence[Path]) -> list[Check]:
    """Run all checks of a bundle, in order; stop after the first ones where the bundle cannot be read."""
    checks = [_try("runtime", runtime_version), _try("bundle", lambda: _bundle(path))]
    if _failed(checks):
        return checks
    bundle = load_bundle(path)
    checks.append(_try("tensors", lambda: _tensors(bundle)))
    if _failed(checks):
        return checks
    classifier = Classifier.of(bundle)
    checks.append(_try("golden", lambda: _golden(bundle, classifier)))
    sounds = _try_sounds(bundle, audio)
    if isinstance(sounds, Check):
        return [*checks, sounds]
    checks.append(_try("sanity", lambda: _sanity(bundle, classifier)))
    checks.append(_try("level", lambda: _level(bundle, classifier, sounds)))
    checks.append(_try("librosa", lambda: _librosa(bundle, sounds)))
    if waveform:
        checks.append(_try("waveform", lambda: _waveform(bundle, classifier, waveform, sounds)))
        checks.append(_try("labels", lambda: _labels(bundle, waveform)))
    return checks


def _try(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name=name, result="ok", detail=check())
    except ModuleNotFoundError as exc:
        return Check(name=name, result="absent", detail=f"{exc.name} is not installed")
    except (GenrewatchError, OSError) as exc:
        return Check(name=name, result="wrong", detail=str(exc))


def _failed(checks: Sequence[Check]) -> bool:
    return any(check.result == "wrong" for check in checks)


def _bundle(path: Path) -> str:
    manifest = load_bundle(path).manifest
    return f"{manifest.name} {manifest.version}: every field, and the sha256 of {' and '.join(sorted(manifest.files))}"


def _tensors(bundle: Bundle) -> str:
    classifier = Classifier.of(bundle)
    tensors = [f"{t.dtype} {'x'.join(map(str, t.shape))}" for t in (classifier.input, classifier.output)]
    return " -> ".join(tensors) + ", as declared"


def _golden(bundle: Bundle, classifier: Classifier) -> str:
    report = check_golden(bundle, classifier)
    return f"log-mel within {report.log_mel:.1e}, posterior within {report.posterior:.1e}"


def _try_sounds(bundle: Bundle, audio: Sequence[Path]) -> list[Samples] | Check:
    """Cut segments from the named files and from the beginning of the demo programme."""
    config = bundle.manifest.front_end
    try:
        stretches = [read_filtered(path, config.sample_rate) for path in audio]
    except GenrewatchError as exc:
        return Check(name="audio", result="wrong", detail=str(exc))
    demo = np.concatenate(list(islice(programme.programme_blocks(block=programme.SAMPLE_RATE), DEMO_S)))
    stretches.append(Resampler(programme.SAMPLE_RATE, config.sample_rate).push(demo, last=True))
    n = config.segment_samples
    return [samples[start : start + n] for samples in stretches for start in range(0, len(samples) - n + 1, n)]


def _sanity(bundle: Bundle, classifier: Classifier) -> str:
    """Check that the posterior of silence, noise and a tone is a distribution."""
    config = bundle.manifest.front_end
    front_end, n = FrontEnd(config), config.segment_samples
    tone = np.sin(2 * np.pi * 440 * np.arange(n) / config.sample_rate)
    noise = np.random.default_rng(0).normal(0, 0.1, n)
    found = []
    for name, samples in (("silence", np.zeros(n)), ("noise", noise), ("440 Hz", tone)):
        posterior = classifier.posterior(front_end.log_mel(samples.astype(np.float32)))
        if not (np.isfinite(posterior).all() and abs(float(posterior.sum()) - 1) < 1e-3):
            raise BundleError(name, f"posterior sums to {posterior.sum():.3g}", "1")
        found.append(f"{name} {bundle.manifest.labels[int(posterior.argmax())]} {posterior.max():.2f}")
    return ", ".join(found)


def _level(bundle: Bundle, classifier: Classifier, sounds: Sequence[Samples]) -> str:
    front_end = FrontEnd(bundle.manifest.front_end)
    factor = np.float32(10 ** (-QUIETER_DB / 20))
    pairs = [[classifier.posterior(front_end.log_mel(s)) for s in (samples, samples * factor)] for samples in sounds]
    return _within(pairs, LEVEL_LIMIT, f"{QUIETER_DB} dB quieter changes a probability by")


def _librosa(bundle: Bundle, sounds: Sequence[Samples]) -> str:
    from genrewatch_trainer.data.oracle import AGREEMENT_DB, difference_db

    found = max(difference_db(samples, bundle.manifest.front_end) for samples in sounds)
    if not found <= AGREEMENT_DB:
        raise BundleError("log-mel", f"{found:.2g} dB off librosa's", f"at most {AGREEMENT_DB} dB")
    return f"log-mel of {len(sounds)} segments within {found:.1e} dB"


def _waveform(bundle: Bundle, classifier: Classifier, path: Path, sounds: Sequence[Samples]) -> str:
    front_end, model = FrontEnd(bundle.manifest.front_end), WaveformModel(path)
    config = bundle.manifest.front_end
    if (model.segment_samples, model.n_labels) != (config.segment_samples, len(bundle.manifest.labels)):
        found = f"takes {model.segment_samples} samples and gives {model.n_labels} labels"
        raise BundleError(str(path), found, f"{config.segment_samples} and {len(bundle.manifest.labels)}")
    pairs = [[model.posterior(samples), classifier.posterior(front_end.log_mel(samples))] for samples in sounds]
    return _within(pairs, POSTERIOR_LIMIT, f"{path.stat().st_size / 1000:.0f} kB, differs from the bundle by")


def _labels(bundle: Bundle, path: Path) -> str:
    found = labels_of(path)
    if found != bundle.manifest.labels:
        raise BundleError(f"{path}: labels", " ".join(found), " ".join(bundle.manifest.labels))
    return f"{len(found)} labels inside {path.name}"


def _within(pairs: Sequence[Sequence[np.ndarray]], limit: float, words: str) -> str:
    found = max(float(np.abs(one - other).max()) for one, other in pairs)
    if not found <= limit:
        raise BundleError("posterior", f"{words} {found:.2g}", f"at most {limit:g}")
    return f"{words} at most {found:.1e} on {len(pairs)} segments"

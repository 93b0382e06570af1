"""A learned bundle: the bundle it started from with the new head, golden vectors, calibration and provenance."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from genrewatch.contract.bundle import GOLDEN, MODEL, Bundle
from genrewatch.contract.bundle_writer import write_bundle
from genrewatch.contract.errors import BundleError, ConfigError, os_error_reason
from genrewatch.contract.front_end import FrontEnd
from genrewatch.contract.summary import FeatureSummary
from genrewatch.host.private_files import give_to_owner, make_private_directory
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.golden import check_golden, make_golden
from genrewatch.inference.head import Head, read_head, replace_head
from genrewatch.learning.corrected_spells import CorrectedSpell
from genrewatch.learning.refit import Figures, matching_temperature

PREFIX = "learned-"
MOST_BUNDLES = 50
MOST_NAMED = 2000
"""Corrections that are named one by one in the manifest."""


def next_path(directory: Path) -> Path:
    """Return the directory of the next learned bundle; ConfigError where there are too many."""
    try:
        names = [path.name for path in directory.iterdir()] if directory.exists() else []
    except OSError as exc:
        raise ConfigError(str(directory), os_error_reason(exc), "a directory") from None
    numbers = [int(name.removeprefix(PREFIX)) for name in names if _is_learned(name)]
    if len(numbers) >= MOST_BUNDLES:
        raise ConfigError(str(directory), f"{len(numbers)} learned bundles", f"fewer than {MOST_BUNDLES}: delete some")
    return directory / f"{PREFIX}{max(numbers, default=0) + 1}"


def write_learned(
    bundle: Bundle, head: Head, labels: tuple[str, ...], spells: Sequence[CorrectedSpell], figures: Figures, path: Path
) -> Bundle:
    """Write the bundle with a new head to `path`, and check it; raises BundleError."""
    assert bundle.summary is not None
    manifest, model = bundle.manifest, replace_head(bundle.model, head)
    temperature = matching_temperature(read_head(bundle.model), manifest.temperature, head, bundle.summary)
    learned = {
        "bundle": f"{manifest.name} {manifest.version}",
        "labels": dict(Counter(spell.label for spell in spells)),
        "sources": dict(Counter(spell.source for spell in spells)),
        "corrections": [[spell.seq, spell.source, spell.label] for spell in spells[-MOST_NAMED:]],
    }
    changed = replace(
        manifest,
        name=path.name,
        labels=labels,
        temperature=temperature,
        output=Classifier(model).output,
        metrics={"part": "corrections, each held out", **asdict(figures)},
        provenance=manifest.provenance | {"learn": learned},
        summary=None,
        files={name: manifest.files[name] for name in (MODEL, GOLDEN)},
    )
    classifier = Classifier(model, temperature=temperature)
    golden = make_golden(bundle.golden.samples, FrontEnd(manifest.front_end), classifier)
    try:
        make_private_directory(path.parent)
        written = write_bundle(path, changed, model, golden, _with_new_labels(bundle.summary, labels, spells))
        give_to_owner(path.parent)
    except OSError as exc:
        raise BundleError(str(path), f"cannot be written ({os_error_reason(exc)})") from None
    check_golden(written, Classifier.of(written))
    return written


def _with_new_labels(
    summary: FeatureSummary, labels: Sequence[str], spells: Sequence[CorrectedSpell]
) -> FeatureSummary:
    """Return the summary with the mean of each spell of a label without centres as a centre."""
    new = [spell for spell in spells if labels.index(spell.label) not in summary.labels]
    counts = Counter(spell.label for spell in new)
    return FeatureSummary(
        centres=np.concatenate([summary.centres, *(spell.vectors.mean(axis=0)[None] for spell in new)]),
        labels=np.concatenate([summary.labels, np.array([labels.index(spell.label) for spell in new], np.int16)]),
        shares=np.concatenate([summary.shares, np.array([1 / counts[spell.label] for spell in new], np.float32)]),
    )


def _is_learned(name: str) -> bool:
    number = name.removeprefix(PREFIX)
    return name.startswith(PREFIX) and number.isascii() and number.isdigit() and len(number) < 10

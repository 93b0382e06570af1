"""A bundle with labels of one's own: its head is fitted on files of one's own and on the bundle's summary."""

from collections.abc import Collection as AnyOf
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import Bundle, Threshold
from genrewatch.contract.errors import BundleError, ConfigError
from genrewatch.contract.out_of_set import OutOfSet
from genrewatch.contract.vote import NOT_MUSIC
from genrewatch.inference.classifier import softmax
from genrewatch.inference.head import Head, read_head
from genrewatch_trainer.adaptation.balanced_fit import Collection
from genrewatch_trainer.adaptation.clip_features import ClipFeatures
from genrewatch_trainer.adaptation.out_of_set import held_out_limit
from genrewatch_trainer.adaptation.refit import ACCURACIES, Material, head_logits, write_with_head
from genrewatch_trainer.adaptation.summary import as_clips
from genrewatch_trainer.evaluation.calibration import fit_temperature
from genrewatch_trainer.evaluation.metrics import clip_metrics, fit_vote, thresholds, vote_posteriors

MOST_FOLDS = 8
SUMMARY_NAME = "summary"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Figures of one's own files, by heads fitted without them."""

    temperature: float
    sharpness: float
    plain_sharpness: float | None
    thresholds: tuple[Threshold, ...]
    out_of_set: OutOfSet | None
    """Limit of the music that gets a genre; None where the old bundle has none."""
    figures: dict[str, float | int]
    """`clip_metrics` of the files."""
    by_label: dict[str, tuple[int, int]]
    """Files of each label whose mean posterior is right, and all of them."""
    before: float | None
    """Share of the files with labels of the old head that it gets right; None without such labels."""
    kept: tuple[float, float]
    """Share of the summary of the kept labels, by weight, that the old and the new head get right."""

    def as_metrics(self) -> dict[str, Any]:
        """Return the manifest's `metrics`."""
        return {
            "part": "own files, each held out",
            "int8": self.figures,
            "by_label": {label: list(right) for label, right in self.by_label.items()},
            "summary_before": self.kept[0],
            "summary_after": self.kept[1],
        }


def adaptation(bundle: Bundle, own: ClipFeatures, keep: AnyOf[str], share: float, strength: float) -> Material:
    """Return what the new head is fitted on; `keep` are the labels of the bundle to keep beside one's own.

    `not_music` is always kept. Raises BundleError for a bundle without a summary, and ConfigError for a label that the
    bundle has not.
    """
    manifest = bundle.manifest
    if bundle.summary is None:
        raise BundleError(str(bundle.path), "has no summary.npz", "a bundle made by `refit` of version 0.4 or later")
    if unknown := sorted(set(keep) - set(manifest.labels)):
        raise ConfigError("--keep", f"found {unknown[0]}", "labels of the bundle: " + ", ".join(manifest.labels))
    kept = [label for label in manifest.labels if label in {*keep, *own.labels, NOT_MUSIC}]
    summary = as_clips(bundle.summary, manifest.labels, SUMMARY_NAME)
    return Material(
        main=summary.select([label in kept for label in summary.labels]),
        others=(Collection(clips=own, share=share),),
        labels=(*kept, *sorted(set(own.labels) - set(kept))),
        strength=strength,
    )


def measure(bundle: Bundle, material: Material) -> Measured:
    """Cross-validate on one's own files, and calibrate on the answers to held-out ones."""
    own, labels = material.others[0].clips, material.labels
    truth = [labels.index(label) for label in own.labels]
    logits = _held_out_logits(material, own)
    temperature = fit_temperature(np.concatenate(logits), np.repeat(truth, [len(clip) for clip in logits]))
    posteriors = [softmax(clip / np.float32(temperature)) for clip in logits]
    vote, front_end = bundle.manifest.vote, bundle.manifest.front_end
    filtered = vote_posteriors(posteriors, vote, hop=vote.segment_hop, sample_rate=front_end.sample_rate)
    fitted = fit_vote(posteriors, truth, vote, hop=vote.segment_hop, sample_rate=front_end.sample_rate)
    sharpness = fitted.sharpness_used
    right = np.array([int(p.mean(axis=0).argmax()) for p in posteriors]) == truth
    old = read_head(bundle.model)
    return Measured(
        temperature=temperature,
        sharpness=fitted.sharpness,
        plain_sharpness=fitted.plain_sharpness,
        thresholds=thresholds(filtered, truth, ACCURACIES, sharpness),
        out_of_set=_limit(bundle, material),
        figures=clip_metrics(posteriors, truth, sharpness, filtered=filtered),
        by_label={label: _count(right, own.labels, label) for label in sorted(set(own.labels))},
        before=_share_right(old, own, bundle.manifest.labels),
        kept=(
            _share_right(old, material.main, bundle.manifest.labels, by_length=True) or 0.0,
            _share_right(material.fit(), material.main, labels, by_length=True) or 0.0,
        ),
    )


def write_adapted(bundle: Bundle, material: Material, output: Path, measured: Measured) -> Bundle:
    """Fit the head on all of the material and write the bundle, named after its directory."""
    own, manifest = material.others[0].clips, bundle.manifest
    record = {
        "bundle": f"{manifest.name} {manifest.version}",
        "files": {label: total for label, (_, total) in measured.by_label.items()},
        "share": material.others[0].share,
        "strength": material.strength,
        "groups": len(set(own.groups)),
    }
    named = replace(manifest, name=output.resolve().name, provenance=manifest.provenance | {"adapt": record})
    return write_with_head(replace(bundle, manifest=named), material, output, measured)


def _limit(bundle: Bundle, material: Material) -> OutOfSet | None:
    """Return the wider of the old limit and that of one's own files, each held out."""
    if bundle.manifest.out_of_set is None:
        return None
    own = material.others[0].clips
    folds = ((material.without(groups), own.select([g in groups for g in own.groups])) for groups in _folds(own))
    limit = held_out_limit((([rest.main, *rest.other_clips], [clips]) for rest, clips in folds), material.labels)
    return max(limit, bundle.manifest.out_of_set, key=lambda each: each.threshold)


def _held_out_logits(material: Material, own: ClipFeatures) -> list[NDArray[np.float32]]:
    """Return (n_segments, n_labels) of each file, by a head fitted without it and without files of the same content."""
    logits: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(own)
    for groups in _folds(own):
        head = material.without(groups).fit()
        for i, group in enumerate(own.groups):
            if group in groups:
                logits[i] = head_logits(head, own.features[i])
    return logits


def _folds(own: ClipFeatures) -> Iterator[set[str]]:
    """Yield the groups of each fold; each label is spread over the folds."""
    from sklearn.model_selection import StratifiedGroupKFold

    counts = [
        len({g for g, its in zip(own.groups, own.labels, strict=True) if its == label}) for label in set(own.labels)
    ]
    splitter = StratifiedGroupKFold(min(MOST_FOLDS, *counts), shuffle=True, random_state=0)
    groups = np.array(own.groups)
    for _, held_out in splitter.split(groups, own.labels, groups):
        yield set(groups[held_out])


def _share_right(head: Head, clips: ClipFeatures, labels: Sequence[str], *, by_length: bool = False) -> float | None:
    """Return the share of the clips that a head gets right by mean posterior, of those whose label it knows."""
    known = clips.select([label in labels for label in clips.labels])
    if not len(known):
        return None
    top = [int(softmax(head_logits(head, features)).mean(axis=0).argmax()) for features in known.features]
    right = [labels[found] == label for found, label in zip(top, known.labels, strict=True)]
    lengths = [len(features) if by_length else 1 for features in known.features]
    return round(float(np.average(right, weights=lengths)), 4)


def _count(right: NDArray[np.bool_], labels: Sequence[str], label: str) -> tuple[int, int]:
    its = np.array(labels) == label
    return int(right[its].sum()), int(its.sum())

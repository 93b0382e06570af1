"""A bundle with a new head: fitted on labelled clips, measured and calibrated across artists, written as a bundle."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genrewatch import __version__
from genrewatch.contract.bundle import GOLDEN, MODEL, Bundle, Threshold
from genrewatch.contract.bundle_writer import check_replaceable, write_bundle
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEnd
from genrewatch.contract.out_of_set import OutOfSet
from genrewatch.contract.vote import NOT_MUSIC, VoteConfig
from genrewatch.inference.classifier import Classifier, softmax
from genrewatch.inference.golden import check_golden, make_golden
from genrewatch.inference.head import Head, replace_head
from genrewatch_trainer.adaptation.balanced_fit import Collection, fit_balanced
from genrewatch_trainer.adaptation.clip_features import ClipFeatures
from genrewatch_trainer.adaptation.out_of_set import held_out_limit
from genrewatch_trainer.adaptation.summary import summarise
from genrewatch_trainer.evaluation.calibration import fit_temperature
from genrewatch_trainer.evaluation.metrics import clip_metrics, fit_vote, thresholds, vote_posteriors
from genrewatch_trainer.progress import progress

ACCURACIES = (0.9, 0.95)
Logits = list[NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Material:
    """The clips that a head is fitted on."""

    main: ClipFeatures
    others: tuple[Collection, ...] = ()
    labels: tuple[str, ...]
    strength: float
    """scikit-learn's C: the inverse of the penalty."""
    field_weight: float = 0.0
    """Weight of the clips as they arrive in the field, relative to the clips."""

    def without(self, groups: set[str]) -> "Material":
        """Return the material without the clips of some groups (artists) of any collection."""
        others = [replace(other, clips=_without(other.clips, groups)) for other in self.others]
        return replace(
            self, main=_without(self.main, groups), others=tuple(other for other in others if len(other.clips))
        )

    @property
    def other_clips(self) -> tuple[ClipFeatures, ...]:
        """Clips of the other collections."""
        return tuple(other.clips for other in self.others)

    @property
    def music_of_others(self) -> tuple[ClipFeatures, ...]:
        """Clips of the other collections that hold music."""
        return tuple(clips for clips in self.other_clips if set(clips.labels) != {NOT_MUSIC})

    def fit(self) -> Head:
        """Fit a head on all of it."""
        return fit_balanced(self.main, self.others, self.labels, self.strength, self.field_weight)


class Calibrated(Protocol):
    """Figures of held-out clips, and the calibration fitted on them."""

    @property
    def temperature(self) -> float:
        """Divisor of the logits."""

    @property
    def sharpness(self) -> float:
        """Exponent of a verdict's mean posterior, see `VoteConfig`."""

    @property
    def plain_sharpness(self) -> float | None:
        """The same without a filter."""

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """Limits for `confidence`."""

    @property
    def out_of_set(self) -> OutOfSet | None:
        """Limit of the music that gets a genre."""

    def as_metrics(self) -> dict[str, Any]:
        """Return the manifest's `metrics`."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Figures of the clips by heads that were fitted on other artists."""

    temperature: float
    sharpness: float
    plain_sharpness: float | None
    thresholds: tuple[Threshold, ...]
    out_of_set: OutOfSet
    across_artists: dict[str, float | int]
    """`clip_metrics` of the main collection."""
    other_collections: dict[str, float]
    """Share of the clips of each other collection whose label has the greatest mean posterior, by heads fitted without
    these clips."""
    collections_apart: dict[str, float]
    """The same by a head fitted without the other collection, `main -> other`; and of the main collection's clips
    of shared labels, by a head fitted on the other collection only, `other -> main`."""

    def as_metrics(self) -> dict[str, Any]:
        """Return the manifest's `metrics`."""
        return {
            "part": "across artists",
            "int8": self.across_artists,
            "other_collections": self.other_collections,
            "collections_apart": self.collections_apart,
        }


def measure(material: Material, n_folds: int, vote: VoteConfig, sample_rate: int) -> Measured:
    """Cross-validate across artists, and calibrate on the held-out answers to the music of all collections.

    `vote` is that of the new bundle, `sample_rate` its front end's, Hz. Raises DataError where there are fewer artists
    than folds.
    """
    held_out = _held_out_logits(material, n_folds)
    music = [material.main, *material.music_of_others]
    logits = [clip for clips in music for clip in held_out[clips.collection]]
    truth = [material.labels.index(label) for clips in music for label in clips.labels]
    temperature = fit_temperature(np.concatenate(logits), np.repeat(truth, [len(clip) for clip in logits]))
    posteriors = [softmax(clip / np.float32(temperature)) for clip in logits]
    filtered = vote_posteriors(posteriors, vote, hop=vote.segment_hop, sample_rate=sample_rate)
    fitted = fit_vote(posteriors, truth, vote, hop=vote.segment_hop, sample_rate=sample_rate)
    sharpness, n_main = fitted.sharpness_used, len(material.main)
    return Measured(
        temperature=temperature,
        sharpness=fitted.sharpness,
        plain_sharpness=fitted.plain_sharpness,
        thresholds=thresholds(filtered, truth, ACCURACIES, sharpness),
        out_of_set=held_out_limit(_parted(material, n_folds), material.labels),
        across_artists=clip_metrics(posteriors[:n_main], truth[:n_main], sharpness, filtered=filtered[:n_main]),
        other_collections={
            clips.collection: _right(clips, held_out[clips.collection], material.labels)
            for clips in material.other_clips
        },
        collections_apart=_collections_apart(material),
    )


def write_refit(bundle: Bundle, material: Material, output: Path, measured: Measured, vote: VoteConfig) -> Bundle:
    """Fit the head on all clips and write the bundle; raises BundleError, or DataError for a label without a clip."""
    names = replace(bundle.manifest, version=__version__, vote=vote, provenance=_provenance(bundle, material))
    return write_with_head(replace(bundle, manifest=names), material, output, measured)


def write_with_head(bundle: Bundle, material: Material, output: Path, measured: Calibrated) -> Bundle:
    """Fit the head on all clips and write it into a copy of the bundle, with its calibration and a new summary."""
    check_replaceable(output)
    model = replace_head(bundle.model, material.fit())
    manifest = replace(
        bundle.manifest,
        labels=material.labels,
        temperature=measured.temperature,
        vote=replace(bundle.manifest.vote, sharpness=measured.sharpness, plain_sharpness=measured.plain_sharpness),
        thresholds=measured.thresholds,
        out_of_set=measured.out_of_set,
        output=Classifier(model).output,
        metrics=measured.as_metrics(),
        summary=None,
        files={name: bundle.manifest.files[name] for name in (MODEL, GOLDEN)},
    )
    classifier = Classifier(model, temperature=manifest.temperature)
    golden = make_golden(bundle.golden.samples, FrontEnd(manifest.front_end), classifier)
    summary = summarise([material.main, *material.other_clips], material.labels)
    written = write_bundle(output, manifest, model, golden, summary)
    check_golden(written, Classifier.of(written))
    return written


def _held_out_logits(material: Material, n_folds: int) -> dict[str, Logits]:
    """Return collection -> logits of its clips, each by a head that was fitted without its artist."""
    collections = [material.main, *material.other_clips]
    logits = {clips.collection: [np.empty((0, 0), np.float32)] * len(clips) for clips in collections}
    with progress(total=n_folds, done=0, unit="fold", name="across artists") as bar:
        for groups in _folds(material, n_folds):
            head = material.without(groups).fit()
            for clips in collections:
                for i, group in enumerate(clips.groups):
                    if group in groups:
                        logits[clips.collection][i] = head_logits(head, clips.features[i])
            bar.update()
    return logits


def _parted(material: Material, n_folds: int) -> Iterator[tuple[list[ClipFeatures], list[ClipFeatures]]]:
    """Yield the collections without the artists of each fold, and the music by these artists."""
    for groups in _folds(material, n_folds):
        rest = material.without(groups)
        music = [material.main, *material.music_of_others]
        yield [rest.main, *rest.other_clips], [clips.select([g in groups for g in clips.groups]) for clips in music]


def _folds(material: Material, n_folds: int) -> Iterator[set[str]]:
    """Yield the groups of each fold; each label and collection is spread over the folds by the number of its clips."""
    from sklearn.model_selection import StratifiedGroupKFold

    collections = [material.main, *material.other_clips]
    groups = np.array([group for clips in collections for group in clips.groups])
    strata = np.array([f"{clips.collection} {label}" for clips in collections for label in clips.labels])
    if len(set(material.main.groups)) < n_folds:
        raise DataError("--folds", f"{len(set(material.main.groups))} artists", f"at least {n_folds}")
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    for _, held_out in splitter.split(groups, strata, groups):
        yield set(groups[held_out])


def _collections_apart(material: Material) -> dict[str, float]:
    found = {}
    for other in material.music_of_others:
        shared = tuple(label for label in material.labels if label in other.labels)
        rest = [each for each in material.others if each.clips is not other]
        head = replace(material, others=tuple(rest)).fit()
        logits = [head_logits(head, clip) for clip in other.features]
        found[f"{material.main.collection} -> {other.collection}"] = _right(other, logits, material.labels)
        if len(shared) < 2:
            continue
        asked = material.main.select([label in shared for label in material.main.labels])
        head = fit_balanced(other, (), shared, material.strength, material.field_weight)
        logits = [head_logits(head, clip) for clip in asked.features]
        found[f"{other.collection} -> {material.main.collection}"] = _right(asked, logits, shared)
    return found


def _without(clips: ClipFeatures, groups: set[str]) -> ClipFeatures:
    return clips.select([group not in groups for group in clips.groups])


def head_logits(head: Head, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits (n_segments, n_labels) of features (n_segments, n_features)."""
    logits: NDArray[np.float32] = features @ head.weights.T + head.offsets
    return logits


def _right(clips: ClipFeatures, logits: Logits, labels: Sequence[str]) -> float:
    top = [labels[int(softmax(clip).mean(axis=0).argmax())] for clip in logits]
    return round(float(np.mean([found == label for found, label in zip(top, clips.labels, strict=True)])), 4)


def _provenance(bundle: Bundle, material: Material) -> dict[str, Any]:
    """Return the provenance of the body, less what no longer holds, and that of the head."""
    body = {key: value for key, value in bundle.manifest.provenance.items() if key not in ("calibrated_on", "vote")}
    return body | {
        "refit": {
            "body": f"{bundle.manifest.name} {bundle.manifest.version}",
            "strength": material.strength,
            "field_weight": material.field_weight,
            "clips": {clips.collection: len(clips) for clips in (material.main, *material.other_clips)},
            "shares": {other.clips.collection: other.share for other in material.others},
            "calibrated_on": "music of all collections, by heads fitted without the artist",
        }
    }

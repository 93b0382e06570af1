"""Soft labels from features that another program computed (`readout --opinion`).

A table is an .npz archive with `name`, the clips, and one other array, a row of numbers for each name. Several rows of
a clip are averaged. Numbers that all lie between 0 and 1 are taken as probabilities, on a logarithmic scale. A logistic
regression from each table's features to labels is cross-fitted: the posterior of a clip comes from clips by other
artists, so it holds nothing memorised. Mixed into the hard labels, these posteriors show a small network which clips
are typical and what the others resemble (distillation, Hinton et al. 2015).

A table can also label the crops of target stores whose teacher is the program that made the table: then unlabelled
music adds to the training data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEndConfig
from genrewatch_trainer.distillation.feature_table import FeatureTable
from genrewatch_trainer.distillation.targets import Half, Targets
from genrewatch_trainer.training.feed import Feed

FOLDS = 8
STRENGTHS = (0.01, 0.03, 0.1, 0.3)
Posteriors = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SoftLabels:
    """Tables, and their share in the labels."""

    tables: tuple[FeatureTable, ...]
    share: float
    """Share of the tables' mean posterior in a clip's label, 0 to 1; the rest is the hard label."""
    crops_share: float = 0.0
    """Weight of all crops together, in units of the labelled clips' weight."""

    def of_clips(self, feed: Feed) -> dict[str, Posteriors]:
        """Return clip name -> soft label (n_labels,), for the feed's clips that a table has."""
        found: dict[str, list[Posteriors]] = {}
        for table in self.tables:
            for name, posterior in cross_fitted(table, feed).items():
                found.setdefault(name, []).append(posterior)
        hard = {feed.store.index.clips[i].name: feed.store.index.clips[i].label for i in feed.clips}
        one_hot = np.eye(len(feed.labels))
        return {
            name: (1 - self.share) * one_hot[feed.labels.index(hard[name])] + self.share * np.mean(posteriors, axis=0)
            for name, posteriors in found.items()
        }

    @cached_property
    def crops(self) -> list[Half]:
        """Crops (n_crops, segment_frames, n_mels) in dB of the tables' target stores, the same crops once."""
        return [group[0][1].power_db[: _shortest(group)] for group in self._groups]

    def of_crops(self, feed: Feed) -> Posteriors:
        """Return (n_crops, n_labels): the tables' mean posterior of each crop, fitted on the feed's clips."""
        posteriors = []
        for group in self._groups:
            of_group = [_fitted(table, feed)(table.of_crops(targets)) for table, targets in group]
            posteriors.append(np.mean([one[: _shortest(group)] for one in of_group], axis=0))
        return np.concatenate(posteriors) if posteriors else np.empty((0, len(feed.labels)))

    def require_front_end(self, wanted: FrontEndConfig) -> None:
        """Raise DataError unless all crops have the front end `wanted`."""
        for group in self._groups:
            for _, targets in group:
                if targets.index.front_end != wanted:
                    raise DataError(str(targets.path), "crops of another front end", "that of the run to start from")

    def as_json(self) -> dict[str, Any]:
        """Return their entries in a run's metrics."""
        named = {"opinions": [table.name for table in self.tables], "opinion_share": self.share}
        n_crops = sum(map(len, self.crops))
        return named | ({"opinion_crops": n_crops, "crops_share": self.crops_share} if n_crops else {})

    @cached_property
    def _groups(self) -> list[list[tuple[FeatureTable, Targets]]]:
        """Pairs of table and target store, those of the same crops together."""
        groups: dict[object, list[tuple[FeatureTable, Targets]]] = {}
        for table in self.tables:
            for targets in table.targets:
                groups.setdefault(targets.index.crops, []).append((table, targets))
        return list(groups.values())


def cross_fitted(table: FeatureTable, feed: Feed) -> dict[str, Posteriors]:
    """Return training clip -> posterior (n_labels,), by a regression on the table's features of clips by other artists.

    The strength of the regression is the most probable one. Raises DataError where the table has too few clips.
    """
    known = _known_clips(table, feed)
    best, _ = _best_strength(known, len(feed.labels))
    return dict(zip(known.names, best, strict=True))


@dataclass(frozen=True, kw_only=True)
class _KnownClips:
    """The training clips that a table has."""

    names: list[str]
    x: NDArray[np.float64]
    """(n_clips, n_features)"""
    labels: NDArray[np.int64]
    groups: list[str]


def _known_clips(table: FeatureTable, feed: Feed) -> _KnownClips:
    clips = [feed.store.index.clips[i] for i in feed.clips if feed.store.index.clips[i].name in table.features]
    groups = [clip.group for clip in clips]
    if len(set(groups)) < FOLDS:
        raise DataError(table.name, f"has {len(clips)} of the clips to train on", f"clips by {FOLDS} artists")
    return _KnownClips(
        names=[clip.name for clip in clips],
        x=np.stack([table.features[clip.name] for clip in clips]),
        labels=np.array([feed.labels.index(clip.label) for clip in clips]),
        groups=groups,
    )


def _best_strength(known: _KnownClips, n_labels: int) -> tuple[Posteriors, float]:
    """Return the cross-fitted posteriors with the greatest likelihood, and their strength."""
    posteriors = [_across_folds(known, strength, n_labels) for strength in STRENGTHS]
    own = np.arange(len(known.labels)), known.labels
    best = int(np.argmax([np.log(np.maximum(posterior[own], 1e-12)).mean() for posterior in posteriors]))
    return posteriors[best], STRENGTHS[best]


def _across_folds(known: _KnownClips, strength: float, n_labels: int) -> Posteriors:
    """Return (n_clips, n_labels): each clip's posterior by a regression on the folds without its group."""
    from sklearn.model_selection import GroupKFold

    posterior = np.zeros((len(known.x), n_labels))
    for train, test in GroupKFold(FOLDS).split(known.x, known.labels, known.groups):
        classify = _regression(known.x[train], known.labels[train], strength, n_labels)
        posterior[test] = classify(known.x[test])
    return posterior


def _fitted(table: FeatureTable, feed: Feed) -> Callable[[NDArray[np.float64]], Posteriors]:
    """Return a function from features (n, n_features) to posteriors, fitted on all training clips of the table."""
    known = _known_clips(table, feed)
    _, strength = _best_strength(known, len(feed.labels))
    return _regression(known.x, known.labels, strength, len(feed.labels))


def _regression(
    x: NDArray[np.float64], labels: NDArray[np.int64], strength: float, n_labels: int
) -> Callable[[NDArray[np.float64]], Posteriors]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(x, labels)

    def classify(features: NDArray[np.float64]) -> Posteriors:
        posterior = np.zeros((len(features), n_labels))
        posterior[:, regression.classes_] = regression.predict_proba(features)
        return posterior

    return classify


def _shortest(group: Sequence[tuple[FeatureTable, Targets]]) -> int:
    """Return the number of crops that all stores of a group have; one of them may still grow."""
    return min(len(targets) for _, targets in group)

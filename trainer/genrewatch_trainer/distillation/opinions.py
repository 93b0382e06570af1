"""A second opinion on labels: what features that another program heard in a clip say of its genre.

A table is an .npz archive with `name`, the clips, and one other array, a row of numbers for each name; several rows of
a clip are averaged. Numbers that all lie between 0 and 1 are taken as probabilities, on a logarithmic scale. Of every
table a logistic regression learns genres from clips by other artists than the one it is asked about, so its answer is
an opinion and no memory. Mixed into the hard labels, the answers tell a small network which clips are typical and what
the others resemble (distillation, Hinton et al. 2015).

A table may be asked about the crops of target stores too, where the program that made the table was the teacher: then
music that nobody has labelled says what a genre sounds like to those who hear more.
"""

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEndConfig
from genrewatch_trainer.distillation.targets import Half, Targets
from genrewatch_trainer.training.feed import Feed

FOLDS = 8
LEAST_PROBABILITY = 0.001
STRENGTHS = (0.01, 0.03, 0.1, 0.3)
Shares = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Features of clips by another program."""

    name: str
    features: dict[str, NDArray[np.float64]]
    """Clip name -> (n_features,)"""
    probabilities: bool = False
    """Whether the features are logarithms of what the table gives."""
    targets: tuple[Targets, ...] = ()
    """Stores of crops whose teacher's last values are these features, or the logits of these probabilities."""

    def of_crops(self, targets: Targets) -> NDArray[np.float64]:
        """(n_crops, n_features) of a store of `targets`; raises DataError where it has fewer values."""
        n_features = len(next(iter(self.features.values())))
        if targets.target.shape[1] < n_features:
            raise DataError(
                str(targets.path), f"{targets.target.shape[1]} values a crop", f"{n_features} of {self.name}"
            )
        values = targets.target[:, -n_features:].astype(np.float64)
        return _logarithms(1 / (1 + np.exp(-values))) if self.probabilities else values


@dataclass(frozen=True, kw_only=True)
class Opinions:
    """Tables, and how much they are heeded."""

    tables: tuple[Table, ...]
    share: float
    """Of the opinions in a label, 0 to 1; the rest is the label as it was."""
    crops_share: float = 0.0
    """What all crops together weigh beside the labelled clips."""

    def shares(self, feed: Feed) -> dict[str, Shares]:
        """Clip name -> (n_labels,) its label, softened by the mean opinion of the tables that know it."""
        found: dict[str, list[Shares]] = {}
        for table in self.tables:
            for name, posterior in opinion(table, feed).items():
                found.setdefault(name, []).append(posterior)
        hard = {feed.store.index.clips[i].name: feed.store.index.clips[i].label for i in feed.clips}
        one_hot = np.eye(len(feed.labels))
        return {
            name: (1 - self.share) * one_hot[feed.labels.index(hard[name])] + self.share * np.mean(posteriors, axis=0)
            for name, posteriors in found.items()
        }

    @cached_property
    def crops(self) -> list[Half]:
        """(n_crops, segment_frames, n_mels) dB, of each store that tables are asked about, once."""
        return [group[0][1].power_db[: _shortest(group)] for group in self._groups]

    def crop_shares(self, feed: Feed) -> Shares:
        """(n_crops, n_labels): the mean opinion on each crop, learned from the feed's clips."""
        posteriors = []
        for group in self._groups:
            answers = [_learned(table, feed)(table.of_crops(targets)) for table, targets in group]
            posteriors.append(np.mean([answer[: _shortest(group)] for answer in answers], axis=0))
        return np.concatenate(posteriors) if posteriors else np.empty((0, len(feed.labels)))

    def require_front_end(self, wanted: FrontEndConfig) -> None:
        """DataError unless all crops are of the front end `wanted`."""
        for group in self._groups:
            for _, targets in group:
                if targets.index.front_end != wanted:
                    raise DataError(str(targets.path), "crops of another front end", "that of the taught run")

    @cached_property
    def _groups(self) -> list[list[tuple[Table, Targets]]]:
        """Tables and stores, those of the same crops together."""
        groups: dict[object, list[tuple[Table, Targets]]] = {}
        for table in self.tables:
            for targets in table.targets:
                groups.setdefault(targets.index.crops, []).append((table, targets))
        return list(groups.values())

    def as_json(self) -> dict[str, Any]:
        """What a run says of them."""
        named = {"opinions": [table.name for table in self.tables], "opinion_share": self.share}
        n_crops = sum(map(len, self.crops))
        return named | ({"opinion_crops": n_crops, "crops_share": self.crops_share} if n_crops else {})


def read_table(path: Path, targets: tuple[Targets, ...] = ()) -> Table:
    """Reads a table, to be asked about `targets` as well; raises DataError."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise DataError(str(path), f"cannot be read ({exc})", "an .npz archive") from None
    names = arrays.pop("name", np.empty(0))
    rows = next(iter(arrays.values()), np.empty(0))
    numbers = len(arrays) == 1 and rows.dtype.kind in "fiu" and rows.ndim == 2 and bool(np.isfinite(rows).all())
    if not numbers or len(rows) != len(names) or not len(rows):
        raise DataError(str(path), "holds other arrays", "name (n,) and one array of finite numbers (n, n_features)")
    rows = rows.astype(np.float64)
    probabilities = bool(rows.min() >= 0 and rows.max() <= 1)
    if probabilities:
        rows = _logarithms(rows)
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), rows.shape[1]))
    np.add.at(sums, which, rows)
    means = sums / np.bincount(which)[:, None]
    features = {str(names[i]): mean for i, mean in zip(first, means, strict=True)}
    return Table(name=path.name, features=features, probabilities=probabilities, targets=targets)


def opinion(table: Table, feed: Feed) -> dict[str, Shares]:
    """Training clip -> (n_labels,) posterior of a regression on the table's features of clips by other artists.

    Its strength is the one whose answers are the most probable. Raises DataError where the table knows too few clips.
    """
    known = _known(table, feed)
    best, _ = _best(known, len(feed.labels))
    return dict(zip(known.names, best, strict=True))


@dataclass(frozen=True, kw_only=True)
class _Known:
    """The training clips that a table knows."""

    names: list[str]
    x: NDArray[np.float64]
    labels: NDArray[np.int64]
    groups: list[str]


def _known(table: Table, feed: Feed) -> _Known:
    clips = [feed.store.index.clips[i] for i in feed.clips if feed.store.index.clips[i].name in table.features]
    groups = [clip.group for clip in clips]
    if len(set(groups)) < FOLDS:
        raise DataError(table.name, f"names {len(clips)} of the clips to learn from", f"clips by {FOLDS} artists")
    return _Known(
        names=[clip.name for clip in clips],
        x=np.stack([table.features[clip.name] for clip in clips]),
        labels=np.array([feed.labels.index(clip.label) for clip in clips]),
        groups=groups,
    )


def _best(known: _Known, n_labels: int) -> tuple[Shares, float]:
    """The answers by other artists of the strength whose answers are the most probable, and that strength."""
    answers = [_of_others(known, strength, n_labels) for strength in STRENGTHS]
    own = np.arange(len(known.labels)), known.labels
    best = int(np.argmax([np.log(np.maximum(answer[own], 1e-12)).mean() for answer in answers]))
    return answers[best], STRENGTHS[best]


def _of_others(known: _Known, strength: float, n_labels: int) -> Shares:
    """(n_clips, n_labels): each clip's posterior by a regression on the folds that hold none of its group."""
    from sklearn.model_selection import GroupKFold

    answer = np.zeros((len(known.x), n_labels))
    for learned, asked in GroupKFold(FOLDS).split(known.x, known.labels, known.groups):
        ask = _regression(known.x[learned], known.labels[learned], strength, n_labels)
        answer[asked] = ask(known.x[asked])
    return answer


def _learned(table: Table, feed: Feed) -> Callable[[NDArray[np.float64]], Shares]:
    """What the table says of features (n, n_features), by all training clips that it knows."""
    known = _known(table, feed)
    _, strength = _best(known, len(feed.labels))
    return _regression(known.x, known.labels, strength, len(feed.labels))


def _regression(
    x: NDArray[np.float64], labels: NDArray[np.int64], strength: float, n_labels: int
) -> Callable[[NDArray[np.float64]], Shares]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(x, labels)

    def ask(features: NDArray[np.float64]) -> Shares:
        answer = np.zeros((len(features), n_labels))
        answer[:, regression.classes_] = regression.predict_proba(features)
        return answer

    return ask


def _logarithms(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(probabilities + LEAST_PROBABILITY)


def _shortest(group: Sequence[tuple[Table, Targets]]) -> int:
    """How many crops all stores of a group have: one may still grow."""
    return min(len(targets) for _, targets in group)

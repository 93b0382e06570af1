"""A second opinion on labels: what features that another program heard in a clip say of its genre.

A table is an .npz archive with `name`, the clips, and one other array, a row of numbers for each name; several rows of
a clip are averaged. Numbers that all lie between 0 and 1 are taken as probabilities, on a logarithmic scale. Of every
table a logistic regression learns genres from clips by other artists than the one it is asked about, so its answer is
an opinion and no memory. Mixed into the hard labels, the answers tell a small network which clips are typical and what
the others resemble (distillation, Hinton et al. 2015).
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.errors import DataError
from trainer.feed import Feed

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


@dataclass(frozen=True, kw_only=True)
class Opinions:
    """Tables, and how much they are heeded."""

    tables: tuple[Table, ...]
    share: float
    """Of the opinions in a label, 0 to 1; the rest is the label as it was."""

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

    def as_json(self) -> dict[str, Any]:
        """What a run says of them."""
        return {"opinions": [table.name for table in self.tables], "opinion_share": self.share}


def read_table(path: Path) -> Table:
    """Reads a table; raises DataError."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, ValueError, zipfile.BadZipFile) as wrong:
        raise DataError(str(path), f"cannot be read ({wrong})", "an .npz archive") from None
    names = arrays.pop("name", np.empty(0))
    rows = next(iter(arrays.values()), np.empty(0))
    numbers = len(arrays) == 1 and rows.dtype.kind in "fiu" and rows.ndim == 2 and bool(np.isfinite(rows).all())
    if not numbers or len(rows) != len(names) or not len(rows):
        raise DataError(str(path), "holds other arrays", "name (n,) and one array of finite numbers (n, n_features)")
    rows = rows.astype(np.float64)
    if rows.min() >= 0 and rows.max() <= 1:
        rows = np.log(rows + LEAST_PROBABILITY)
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), rows.shape[1]))
    np.add.at(sums, which, rows)
    means = sums / np.bincount(which)[:, None]
    return Table(name=path.name, features={str(names[i]): mean for i, mean in zip(first, means, strict=True)})


def opinion(table: Table, feed: Feed) -> dict[str, Shares]:
    """Training clip -> (n_labels,) posterior of a regression on the table's features of clips by other artists.

    Its strength is the one whose answers are the most probable. Raises DataError where the table knows too few clips.
    """
    clips = [feed.store.index.clips[i] for i in feed.clips if feed.store.index.clips[i].name in table.features]
    groups = [clip.group for clip in clips]
    if len(set(groups)) < FOLDS:
        raise DataError(table.name, f"names {len(clips)} of the clips to learn from", f"clips by {FOLDS} artists")
    x = np.stack([table.features[clip.name] for clip in clips])
    labels = np.array([feed.labels.index(clip.label) for clip in clips])
    answers = [_of_others(x, labels, groups, strength, len(feed.labels)) for strength in STRENGTHS]
    given = [np.log(np.maximum(answer[np.arange(len(labels)), labels], 1e-12)).mean() for answer in answers]
    best = answers[int(np.argmax(given))]
    return {clip.name: row for clip, row in zip(clips, best, strict=True)}


def _of_others(
    x: NDArray[np.float64], labels: NDArray[np.int64], groups: Sequence[str], strength: float, n_labels: int
) -> Shares:
    """(n_clips, n_labels): each clip's posterior by a regression on the folds that hold none of its group."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    answer = np.zeros((len(x), n_labels))
    for learned, asked in GroupKFold(FOLDS).split(x, labels, groups):
        regression = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        regression.fit(x[learned], labels[learned])
        answer[np.ix_(asked, regression.classes_)] = regression.predict_proba(x[asked])
    return answer

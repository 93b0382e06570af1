"""Cross-validation of a readout across artists: a head classifies the training clips of artists it was not fitted on.

It evaluates all training clips instead of the few that are held out, so small differences between heads show.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError
from genrewatch.inference.classifier import softmax
from genrewatch_trainer.distillation.features import LabelledFeatures
from genrewatch_trainer.distillation.regression import fit_head
from genrewatch_trainer.distillation.soft_labels import SoftLabels
from genrewatch_trainer.files import write_csv
from genrewatch_trainer.progress import progress
from genrewatch_trainer.training.feed import Feed

TABLE = "across_artists.csv"
PosteriorOfClip = dict[int, NDArray[np.float32]]


def across_artists(
    feed: Feed, data: LabelledFeatures, strength: float, soft_labels: SoftLabels | None, n_folds: int
) -> PosteriorOfClip:
    """Return position of each training clip -> its posteriors (n_segments, n_labels).

    Head and soft labels of a fold are fitted on clips by other artists. Raises DataError where there are fewer artists
    than folds.
    """
    from sklearn.model_selection import GroupKFold

    clips = np.array(feed.clips)
    groups = [feed.store.index.clips[i].group for i in clips]
    if len(set(groups)) < n_folds:
        raise DataError("--folds", f"{len(set(groups))} artists to train on", f"at least {n_folds}")
    posteriors: PosteriorOfClip = {}
    with progress(total=n_folds, done=0, unit="fold", name="across artists") as bar:
        for train, test in GroupKFold(n_folds).split(clips, groups=groups):
            fold = replace(feed, clips=tuple(clips[train].tolist()))
            weights, offsets = fit_head(data.select(fold, soft_labels), strength)
            for i in clips[test].tolist():
                posteriors[i] = softmax(data.features[data.clips == i] @ weights + offsets)
            bar.update()
    return {i: posteriors[i] for i in clips.tolist()}


def write_table(run: Path, feed: Feed, posteriors: Mapping[int, NDArray[np.float32]]) -> None:
    """Write RUN/across_artists.csv: of each clip its label, its top label and its mean posterior."""
    write_csv(run / TABLE, [_row(feed, i, posterior) for i, posterior in posteriors.items()])


def _row(feed: Feed, i: int, posterior: NDArray[np.float32]) -> dict[str, object]:
    clip, mean = feed.store.index.clips[i], posterior.mean(axis=0)
    known = {"name": clip.name, "group": clip.group, "label": clip.label, "named": feed.labels[int(mean.argmax())]}
    return known | {label: round(float(p), 4) for label, p in zip(feed.labels, mean, strict=True)}

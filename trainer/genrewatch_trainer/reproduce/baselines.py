"""Table II: five classical classifiers on MFCC statistics of whole clips, on the same splits as the network.

Each is a pipeline, so scaling is fitted on the training part only. Parameters are chosen by cross-validation inside the
training part, with clips of one artist or recording kept together. These classifiers never refuse.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from genrewatch.contract.decode import read_json
from genrewatch.contract.errors import DataError
from genrewatch_trainer.data.store import Clip, Store
from genrewatch_trainer.files import write_json
from genrewatch_trainer.progress import progress
from genrewatch_trainer.reproduce.mfcc import statistics
from genrewatch_trainer.reproduce.plan import PlannedFit, split_of

INNER_FOLDS = 5
TREES = 300
METHODS = ("KNN", "decision tree", "random forest", "SVM", "logistic regression")


def pipelines(seed: int) -> dict[str, tuple[Pipeline, dict[str, list[Any]]]]:
    """Return the pipeline of each method and the values that cross-validation chooses from."""
    estimators: dict[str, tuple[Any, dict[str, list[Any]]]] = {
        "KNN": (KNeighborsClassifier(weights="distance"), {"n_neighbors": [1, 3, 5, 9, 15]}),
        "decision tree": (DecisionTreeClassifier(random_state=seed), {"min_samples_leaf": [1, 3, 5, 10]}),
        "random forest": (RandomForestClassifier(TREES, random_state=seed), {}),
        "SVM": (SVC(), {"C": [1, 3, 10, 30]}),
        "logistic regression": (LogisticRegression(max_iter=2000), {"C": [0.01, 0.1, 1, 10]}),
    }
    return {
        name: (
            make_pipeline(StandardScaler(), estimator),
            {f"{type(estimator).__name__.lower()}__{key}": values for key, values in grid.items()},
        )
        for name, (estimator, grid) in estimators.items()
    }


def table_ii(
    compared: Sequence[PlannedFit], report: Path, store: Store, *, compute: bool
) -> dict[str, dict[str, list[float]]]:
    """Return method -> key of the split -> accuracy of each seed over all its folds.

    Results are cached in REPORT/baselines by store and split; without `compute` only cached ones are returned.
    """
    right: dict[tuple[str, int], list[dict[str, list[bool]] | None]] = {}
    for planned in progress(compared, total=len(compared), unit="split", name="table II") if compute else compared:
        found = _right_of(planned, report, store, compute=compute)
        right.setdefault((planned.key, planned.seed), []).append(found)
    table: dict[str, dict[str, list[float]]] = {}
    for (key, _), folds in right.items():
        there = [fold for fold in folds if fold is not None]
        for method in METHODS if len(there) == len(folds) else ():
            accuracy = float(np.mean([hit for fold in there for hit in fold[method]]))
            table.setdefault(method, {}).setdefault(key, []).append(accuracy)
    return table


def _right_of(planned: PlannedFit, report: Path, store: Store, *, compute: bool) -> dict[str, list[bool]] | None:
    path = report / "baselines" / f"{planned.name}.json"
    parts = split_of(store.index, planned)
    asked = {"store_sha256": store.index.power_db_sha256, "split": parts, "seed": planned.seed}
    if path.is_file():
        kept = read_json(path, error=DataError)
        if isinstance(kept, dict) and kept.get("asked") == asked:
            return dict(kept["right"])
    if not compute:
        return None
    right = correct_predictions(store, parts, planned)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"asked": asked, "right": right})
    return right


def correct_predictions(store: Store, parts: dict[str, str], planned: PlannedFit) -> dict[str, list[bool]]:
    """Fit each method on the training parts; return for each test clip whether its prediction is correct."""
    train, test = (_chosen(store, parts, which) for which in (planned.train_parts, (planned.test_part,)))
    x = {i: statistics(store.clip(i)) for i in [*train, *test]}
    y = store.label_ids
    groups = [_group(store.index.clips[i]) for i in train]
    if len(set(groups)) < INNER_FOLDS:
        found = f"{len(set(groups))} artists or recordings to train on in {planned.scheme}"
        raise DataError(f"{store.path}: table II", found, f"at least {INNER_FOLDS}, to choose settings by")
    right = {}
    for name, (pipeline, grid) in pipelines(planned.seed).items():
        fitted = _fitted(pipeline, grid, np.stack([x[i] for i in train]), y[train], groups, planned.seed)
        right[name] = (fitted.predict(np.stack([x[i] for i in test])) == y[test]).tolist()
    return right


def _fitted(
    pipeline: Pipeline,
    grid: dict[str, list[Any]],
    x: NDArray[np.float64],
    y: NDArray[np.int64],
    groups: list[str],
    seed: int,
) -> Any:
    if not grid:
        return pipeline.fit(x, y)
    folds = StratifiedGroupKFold(INNER_FOLDS, shuffle=True, random_state=seed)
    return GridSearchCV(pipeline, grid, cv=folds).fit(x, y, groups=groups)


def _chosen(store: Store, parts: dict[str, str], which: tuple[str, ...]) -> list[int]:
    return [i for i, clip in enumerate(store.index.clips) if parts.get(clip.name) in which]


def _group(clip: Clip) -> str:
    return f"artist {clip.artist}" if clip.artist else f"track {clip.track or clip.name}"

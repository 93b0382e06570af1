"""Every number of the report as plain values: the content of summary.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrewatch_trainer.data.store import Store
from genrewatch_trainer.evaluation.metrics import confusion, genre_report, vote_top1
from genrewatch_trainer.reproduce import paper
from genrewatch_trainer.reproduce.measures import (
    DurationAccuracy,
    accuracy_by_duration,
    mean_risk,
    risk_coverage,
    roc_of,
)
from genrewatch_trainer.reproduce.outcomes import Outcome, together
from genrewatch_trainer.reproduce.plan import PlannedFit, split_of
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.epoch_log import read_history
from genrewatch_trainer.training.recipes import Recipe

AVERAGED = (
    "n_clips",
    "segment_accuracy",
    "clip_accuracy_mean",
    "clip_accuracy_vote",
    "refused",
    "coverage",
    "accuracy_on_covered",
    "segment_ece",
)
CONFUSIONS_NAMED = 4
Rounds = dict[str, list[Outcome]]
"""Key of the fits -> an outcome per seed, all folds of it together."""


def complete(plan: Sequence[PlannedFit], outcomes: Mapping[str, Outcome]) -> list[PlannedFit]:
    """Return the fits whose seed has an outcome for each of its folds."""
    missing = {(e.key, e.seed) for e in plan if e.name not in outcomes}
    return [e for e in plan if (e.key, e.seed) not in missing]


def rounds_of(done: Sequence[PlannedFit], outcomes: Mapping[str, Outcome]) -> Rounds:
    """Join the outcomes of the fits to one per key and seed."""
    found: dict[str, dict[int, list[Outcome]]] = {}
    for e in done:
        found.setdefault(e.key, {}).setdefault(e.seed, []).append(outcomes[e.name])
    return {key: [together(folds) for folds in of_seed.values()] for key, of_seed in found.items()}


def summarise(
    store: Store,
    plan: Sequence[PlannedFit],
    done: Sequence[PlannedFit],
    rounds: Rounds,
    table_ii: Mapping[str, Mapping[str, list[float]]],
    report: Path,
) -> dict[str, Any]:
    """Return every number of the report; `table_ii` is method -> key of the split -> accuracy of each seed."""
    recipes = {e.key: e.recipe for e in done}
    return {
        "store": {
            "provenance": store.index.provenance,
            "power_db_sha256": store.index.power_db_sha256,
            "clips": len(store),
            "labels": list(store.index.labels),
            "repeats": repeats_of(store),
        },
        "paper": _paper(),
        "network": {key: _network(recipes[key]) for key in rounds},
        "artist_in_training": {
            key: _spread([_artist_in_training(store, e) for e in done if e.key == key])
            for key in ("random", "fault_filtered", "artist")
            if key in rounds
        },
        "runs": [_run(report / "runs" / e.name) for e in done],
        "missing_runs": [e.name for e in plan if e not in done],
        "splits": {key: _split(outcomes) for key, outcomes in rounds.items()},
        "table_ii": {method: {key: _spread(v) for key, v in of_key.items()} for method, of_key in table_ii.items()},
        "seconds_heard": {
            key: [vars(row) for row in duration_accuracies(rounds[key], recipes[key])]
            for key in ("random", "fault_filtered")
            if key in rounds
        },
    }


def _paper() -> dict[str, Any]:
    percent = paper.CLASSIFIERS_PERCENT.values()
    return {"cnn_percent": paper.CNN_VOTE_PERCENT, "others_percent": [round(min(percent)), round(max(percent))]}


def duration_accuracies(outcomes: list[Outcome], recipe: Recipe) -> list[DurationAccuracy]:
    """Return the accuracy by duration over all seeds together."""
    every = together(outcomes)
    return accuracy_by_duration(every.posteriors, every.truth, recipe.front_end, recipe.segment_hop_frames)


def repeats_of(store: Store) -> list[list[str]]:
    """Return groups of clips with the same log-mel."""
    groups: dict[str, list[str]] = {}
    for clip in store.index.clips:
        groups.setdefault(clip.track or clip.name, []).append(clip.name)
    return [names for names in groups.values() if len(names) > 1]


def _artist_in_training(store: Store, planned: PlannedFit) -> float:
    """Return the share of test clips whose artist also has a clip in the training part."""
    parts = split_of(store.index, planned)
    of_part = [(parts.get(clip.name), clip.artist) for clip in store.index.clips]
    trained = {artist for part, artist in of_part if part in planned.train_parts and artist}
    tested = [artist for part, artist in of_part if part == planned.test_part]
    return sum(artist in trained for artist in tested) / len(tested)


def _network(recipe: Recipe) -> dict[str, Any]:
    front_end = recipe.front_end
    return {
        "frames": front_end.segment_frames,
        "rows": front_end.n_mels,
        "segment_s": front_end.segment_s,
        "hop_s": recipe.segment_hop_frames * front_end.hop_length / front_end.sample_rate,
        "n_fft": front_end.n_fft,
        "hop_length": front_end.hop_length,
        "epochs": recipe.epochs,
    }


def _run(path: Path) -> dict[str, Any]:
    run, rows = Run.load(path), read_history(path)
    return {
        "name": path.name,
        "scheme": run.record.split_scheme,
        "train_parts": list(run.record.train_parts),
        "n_train_clips": sum(part in run.record.train_parts for part in run.split.values()),
        "seed": run.record.seed,
        "epochs": run.record.epochs_done,
        "weights_of_epoch": run.weights_epoch,
        "training_accuracy": rows[-1]["accuracy"],
        "hours": sum(row["seconds"] for row in rows) / 3600,
        "versions": run.record.versions,
    }


def _split(outcomes: list[Outcome]) -> dict[str, Any]:
    every = together(outcomes)
    voted = vote_top1(every.posteriors).tolist()
    coverage, risk = risk_coverage(every.clip_posterior.max(axis=1), every.clip_posterior.argmax(axis=1) == every.truth)
    aucs = {label: roc_of(every.clip_posterior, every.truth, i) for i, label in enumerate(every.labels)}
    found = {label: roc.auc for label, roc in aucs.items() if roc}
    return {
        "seeds": len(outcomes),
        "metrics": {key: _spread([float(o.metrics[key]) for o in outcomes]) for key in AVERAGED},
        "genres": genre_report(every.truth.tolist(), voted, every.labels),
        "confusions": _confusions(confusion(every.truth.tolist(), voted, len(every.labels)), every.labels),
        "auc": found,
        "auc_mean": float(np.mean(list(found.values()))) if found else None,
        "mean_risk": mean_risk(coverage, risk),
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    """Return mean, standard deviation (n - 1, of two or more) and each value."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": deviation, "values": list(values)}


def _confusions(table: Any, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the most frequent confusions: true, decided, share of the true genre's clips."""
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    share = share[:, : len(labels)] * (1 - np.eye(len(labels)))
    worst = np.argsort(-share, axis=None, kind="stable")[:CONFUSIONS_NAMED]
    pairs = [divmod(int(i), len(labels)) for i in worst]
    return [{"true": labels[t], "decided": labels[d], "share": float(share[t, d])} for t, d in pairs if share[t, d]]

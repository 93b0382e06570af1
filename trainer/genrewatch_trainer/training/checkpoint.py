"""The files of a run while it is trained: opened, resumed after a kill, saved after each epoch, finished.

An epoch ends with files replaced one after another: best.keras if it is the best so far, average.keras if the recipe
averages, history.csv, last.keras, run.json. The step counter in last.keras says how many epochs are done. An epoch
that is on disk only in part is computed again, with the same result.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from genrewatch.contract.errors import ConfigError
from genrewatch_trainer.files import atomic_file, readable, write_json
from genrewatch_trainer.run import AVERAGE, BEST, LAST, RECORD, SPLIT, HeldOutClip, Run, write_features
from genrewatch_trainer.training.averaging import evaluation_weights
from genrewatch_trainer.training.epoch_log import HISTORY, Row, draw_curves, read_history, write_history
from genrewatch_trainer.training.experiment import Experiment, clips_of
from genrewatch_trainer.training.feed import Feed, representative_segments
from genrewatch_trainer.training.network import build, compile_for_training, size, transfer_weights
from genrewatch_trainer.training.validation import Validation

REPRESENTATIVE_SEGMENTS = 256
EPOCHS_PER_DRAWING = 10
SAME_ON_RESUME = (
    "recipe",
    "labels",
    "store_sha256",
    "split_scheme",
    "train_parts",
    "seed",
    "also",
    "targets_sha256",
    "started_from",
)


def open_run(path: Path, experiment: Experiment) -> Run:
    """Open the run in folder `path` or begin a new one; raises ConfigError where the folder holds another run.

    A new run writes run.json last, so where that file is, the others are complete.
    """
    record, split = experiment.record(), experiment.split
    if (path / RECORD).is_file():
        return _same_run(path, experiment)
    if left := [name for name in (BEST, LAST, HISTORY) if (path / name).exists()]:
        raise ConfigError(str(path), f"holds {left[0]} of another run but no {RECORD}", "a new folder")
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / SPLIT, split)
    write_features(path, _held_out(experiment), representative_segments(experiment.feed, REPRESENTATIVE_SEGMENTS))
    write_json(path / RECORD, record)
    return Run.load(path)


def _same_run(path: Path, experiment: Experiment) -> Run:
    run, record = Run.load(path), experiment.record()
    for key in SAME_ON_RESUME:
        if getattr(run.record, key) != getattr(record, key):
            raise ConfigError(str(path), f"holds a run with another {key}", "a new folder, or the same settings")
    if run.split != experiment.split:
        raise ConfigError(str(path), "holds a run with another split of the clips", "a new folder")
    return run


def _held_out(experiment: Experiment) -> list[HeldOutClip]:
    """Return every clip that has a part and is not trained on."""
    store, split = experiment.store, experiment.split
    parts = tuple(sorted(set(split.values()) - set(experiment.train_parts)))
    chosen = [(store.index.clips[i], store.clip(i)) for i in clips_of(store, split, parts)]
    return [HeldOutClip(name=c.name, label=c.label, part=split[c.name], power_db=power_db) for c, power_db in chosen]


def resume(run: Run, experiment: Experiment) -> tuple[Any, list[Row]]:
    """Return the model after its last complete epoch, optimizer state included, and the rows of those epochs."""
    feed, recipe = experiment.feed, experiment.recipe
    keras.utils.set_random_seed(experiment.seed)
    model = build(recipe, len(run.labels), feed.target_crops.n_values if feed.target_crops else 0)
    compile_for_training(model, recipe, feed.n_batches)
    model.optimizer.build(model.trainable_variables)
    if not (run.path / LAST).is_file():
        if experiment.start:
            transfer_weights(model, experiment.start.whole_model())
        return model, []
    with readable(run.path / LAST):
        model.load_weights(run.path / LAST)
    epochs_done = int(model.optimizer.iterations) // feed.n_batches
    return model, read_history(run.path)[:epochs_done]


def save_epoch(run: Run, model: Any, rows: list[Row], feed: Feed) -> None:
    """Write the files of a finished epoch, in the order that makes a kill between any two writes harmless."""
    with evaluation_weights(model, feed.unaugmented()):
        if "val_accuracy" in rows[-1] and max(rows, key=_by_validation) is rows[-1]:
            _save(model, run.path / BEST)
        if run.recipe.evaluates_other_weights:
            _save(model, run.path / AVERAGE)
    write_history(run.path, rows)
    _save(model, run.path / LAST)
    write_json(run.path / RECORD, replace(run.record, epochs_done=len(rows)))
    if len(rows) % EPOCHS_PER_DRAWING == 0:
        draw_curves(run.path, rows)


def finish(run: Run, rows: list[Row], validation: Validation | None) -> Run:
    """Write the metrics and the curves of a run whose epochs are all done."""
    draw_curves(run.path, rows)
    metrics: dict[str, Any] = {"train": {key: rows[-1][key] for key in ("loss", "accuracy")}}
    if validation:
        metrics["valid"] = validation.metrics(run.model())
        metrics["valid"]["best_epoch"] = int(max(rows, key=_by_validation)["epoch"])
        metrics["valid_last"] = validation.metrics(run.model(last=True))
    metrics["size"] = size(run.model(last=True))
    write_json(run.path / RECORD, replace(run.record, epochs_done=len(rows), metrics=metrics))
    return Run.load(run.path)


def save_without_training(run: Run, model: Any, experiment: Experiment, metrics: dict[str, Any]) -> Run:
    """Write a model whose head was not trained by gradients as the only epoch of a run, with its metrics."""
    for name in (LAST, BEST) if run.record.validation_part else (LAST,):
        _save(model, run.path / name)
    found: dict[str, Any] = {**metrics, "size": size(model)}
    if validation := Validation.of(experiment):
        found["valid"] = validation.metrics(model) | {"best_epoch": 1}
    write_json(run.path / RECORD, replace(run.record, epochs_done=run.recipe.all_epochs, metrics=found))
    return Run.load(run.path)


def _by_validation(row: Row) -> tuple[float, float]:
    """Return the key by which epochs are ranked: accuracy, then loss."""
    return row["val_accuracy"], -row["val_loss"]


def _save(model: Any, path: Path) -> None:
    with atomic_file(path) as partial:
        model.save(partial)

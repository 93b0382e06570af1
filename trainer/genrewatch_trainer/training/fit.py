"""Training: an experiment becomes a run. Killed at any moment, the same command resumes after the last full epoch."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genrewatch.contract.front_end import FrontEnd
from genrewatch_trainer.progress import progress
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.averaging import evaluation_weights
from genrewatch_trainer.training.checkpoint import finish, open_run, resume, save_epoch
from genrewatch_trainer.training.epoch_log import Row
from genrewatch_trainer.training.experiment import Experiment
from genrewatch_trainer.training.feed import Batch, Feed
from genrewatch_trainer.training.hardware import predict
from genrewatch_trainer.training.network import ACCURACY, keras_batch, logits_of, reseed, values_of
from genrewatch_trainer.training.validation import PREDICT_BATCH, Validation


def fit(experiment: Experiment, path: Path) -> Run:
    """Train the run in folder `path`, or resume it; raises ConfigError or DataError before training starts."""
    recipe, feed = experiment.recipe, experiment.feed
    experiment.require_start()
    run = open_run(path, experiment)
    model, rows = resume(run, experiment)
    validation = Validation.of(experiment)
    epochs = _Epochs.of(model, feed, validation)
    total, done = recipe.all_epochs * feed.n_batches, len(rows) * feed.n_batches
    with progress(total=total, done=done, unit="batch") as bar:
        for epoch in range(len(rows), recipe.all_epochs):
            bar.set_description(f"epoch {epoch + 1}/{recipe.all_epochs}", refresh=False)
            rows.append(epochs.train(epoch, bar))
            bar.set_postfix_str(_brief(rows[-1]), refresh=False)
            save_epoch(run, model, rows, feed)
    return finish(run, rows, validation)


@dataclass(frozen=True, kw_only=True)
class _Epochs:
    """The epoch loop's model, its two outputs as models of their own, and the data."""

    model: Any
    logits: Any
    values: Any
    """None without a teacher's targets to measure with."""
    feed: Feed
    validation: Validation | None

    @classmethod
    def of(cls, model: Any, feed: Feed, validation: Validation | None) -> "_Epochs":
        held_out = feed.target_crops and feed.target_crops.n_held_out
        values = values_of(model) if held_out else None
        return cls(model=model, logits=logits_of(model), values=values, feed=feed, validation=validation)

    def train(self, epoch: int, bar: Any) -> Row:
        """Train one epoch, counted from 0, and evaluate it; return its row of the history."""
        began = time.monotonic()
        reseed(self.model, self.feed.seed, epoch)
        batches = _counted(self.feed.epoch(epoch), bar)
        steps = self.feed.n_batches
        trained = self.model.fit(batches, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0).history
        row = {"epoch": epoch + 1.0, "loss": trained["loss"][0], "accuracy": trained[ACCURACY][0]}
        if self.values is not None:
            with evaluation_weights(self.model):
                row |= {"target_error": self._target_error()}
        if self.validation:
            with evaluation_weights(self.model, self.feed.unaugmented()):
                metrics = self.validation.metrics(self.logits)
            row |= {"val_loss": metrics["segment_nll"], "val_accuracy": metrics["segment_accuracy"]}
            row |= {"val_clip_accuracy": metrics["clip_accuracy_mean"]}
        return row | {"seconds": round(time.monotonic() - began, 3)}

    def _target_error(self) -> float:
        """Return the mean squared error on the held-out crops, in units of each value's variance: about 1 - R2."""
        held_out = self.feed.target_crops
        assert held_out
        power_db = held_out.power_db[held_out.n_train :].astype(np.float32)
        scaled = FrontEnd(self.feed.recipe.front_end).scale(power_db)
        values = predict(self.values, scaled[..., None], PREDICT_BATCH)
        return float(np.mean((values - held_out.target[held_out.n_train :]) ** 2))


def _brief(row: Row) -> str:
    return " ".join(f"{key} {row[key]:.3f}" for key in row if key not in ("epoch", "seconds"))


def _counted(batches: Iterable[Batch], bar: Any) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        yield keras_batch(batch)
        bar.update()

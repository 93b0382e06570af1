"""A genre head by logistic regression on the features of a trained network: the last step of distillation.

The layers of an earlier run, usually a distilled one, stay as they are. Their pooled features of unaugmented segments,
standardised, go through multinomial logistic regression. Scaling and weights are folded into the one dense layer
`logits`, so the result is an ordinary run of an ordinary network:

    logits = W ((f - mean) / deviation) + b = (W / deviation) f + (b - W mean / deviation)

Labels may be soft, and unlabelled crops may be added with soft labels (`soft_labels.py` beside this file).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from genrewatch.contract.errors import ConfigError
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.across_artists import across_artists, write_table
from genrewatch_trainer.distillation.features import labelled_features
from genrewatch_trainer.distillation.regression import fit_head
from genrewatch_trainer.distillation.soft_labels import SoftLabels
from genrewatch_trainer.evaluation.metrics import clip_metrics
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.checkpoint import open_run, save_without_training
from genrewatch_trainer.training.experiment import Experiment
from genrewatch_trainer.training.network import LOGITS, build, transfer_weights
from genrewatch_trainer.training.recipes import Head, Recipe


def readout_of(
    start: Run,
    store: Store,
    *,
    scheme: str,
    train_parts: tuple[str, ...],
    extra_stores: tuple[tuple[Store, float], ...] = (),
    pooling: Head = "mean",
) -> Experiment:
    """Return the experiment of a readout from run `start`, with its seed, on the labels of all stores.

    `pooling` is the recipe's `head`, which need not be that of `start`.
    """
    return Experiment(
        store=store,
        recipe=replace(recipe_of(start), head=pooling),
        scheme=scheme,
        train_parts=train_parts,
        seed=start.record.seed,
        extra_stores=extra_stores,
        start=start,
    )


def fit_readout(
    experiment: Experiment, path: Path, *, strength: float, soft_labels: SoftLabels | None = None, folds: int = 0
) -> Run:
    """Fit a head on the layers of `experiment.start` and write it as a run in the new folder `path`.

    `strength` is scikit-learn's C, the inverse of the penalty on the weights. An extra store weighs as much as its
    share of the first one. With `folds` the training clips are also classified across artists, in so many folds, and
    `across_artists.csv` in the run has a row for each clip. Raises ConfigError or DataError.
    """
    feed, start = experiment.feed, experiment.start
    if start is None:
        raise ConfigError("readout", "no run to start from", "a trained run")
    run = open_run(path, experiment)
    if run.finished:
        return run
    keras.utils.set_random_seed(experiment.seed)
    model = build(experiment.recipe, len(feed.labels))
    transfer_weights(model, start.whole_model())
    if soft_labels:
        soft_labels.require_front_end(experiment.recipe.front_end)
    data = labelled_features(feed, pooled_features(model), soft_labels)
    metrics: dict[str, Any] = {"readout_strength": strength} | (soft_labels.as_json() if soft_labels else {})
    if folds:
        posteriors = across_artists(feed, data, strength, soft_labels, folds)
        metrics["across_artists"] = clip_metrics(list(posteriors.values()), [feed.label(i) for i in posteriors])
        write_table(run.path, feed, posteriors)
    weights, offsets = fit_head(data.select(feed, soft_labels), strength)
    model.get_layer(LOGITS).set_weights([weights, offsets])
    return save_without_training(run, model, experiment, metrics)


def recipe_of(start: Run) -> Recipe:
    """Return the recipe of run `start` without its training stages: a readout trains nothing by gradients."""
    return replace(
        start.recipe,
        name=f"{start.recipe.name}-readout",
        teach_epochs=0,
        epochs=1,
        taught_percent=0,
        average_momentum=0.0,
        settle_batches=0,
        steps_per_epoch=0,
    )


def pooled_features(model: Any) -> Any:
    """Return the model (n, segment_frames, n_mels, 1) -> (n, n_features): the input of the layer `logits`."""
    return keras.Model(model.input, model.get_layer(LOGITS).input)

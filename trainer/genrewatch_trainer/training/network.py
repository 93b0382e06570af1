"""A recipe as a Keras 3 model, on whichever backend KERAS_BACKEND names. Importing this loads Keras."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from genrewatch_trainer.training.recipes import Block, Head, Recipe

LOGITS, VALUES, ANSWER = "logits", "values", "answer"


def build(recipe: Recipe, n_labels: int, n_values: int = 0) -> Any:
    """(segment_frames, n_mels, 1) in [0, 1] -> logits (n_labels,). Initial weights come from Keras' global seed.

    With `n_values` it answers (n_labels + n_values,): logits, and then the values that a teacher gives.
    """
    picture = keras.Input((recipe.front_end.segment_frames, recipe.front_end.n_mels, 1), name="log_mel")
    x = picture
    for number, block in enumerate(recipe.blocks, start=1):
        x = _block(x, block, recipe, f"block{number}")
    x = _vector(x, recipe.head)
    values = keras.layers.Dense(n_values, name=VALUES, dtype="float32")(x) if n_values else None
    if recipe.head_dropout_percent:
        x = keras.layers.Dropout(recipe.head_dropout_percent / 100)(x)
    answer = keras.layers.Dense(n_labels, name=LOGITS, dtype="float32")(x)
    if values is not None:
        answer = keras.layers.Concatenate(name=ANSWER)([answer, values])
    return keras.Model(picture, answer, name=recipe.name)


def logits_of(model: Any) -> Any:
    """The part of a model, with the same weights, that answers logits alone."""
    if model.layers[-1].name != ANSWER:
        return model
    return keras.Model(model.inputs, model.get_layer(LOGITS).output, name=model.name)


def compile_for_training(model: Any, recipe: Recipe, n_batches: int, n_labels: int) -> None:
    """Sets Adam with the recipe's schedule over all epochs of `n_batches`, and the loss."""
    stages = [Stage(rate=recipe.teach_learning_rate, steps=recipe.teach_epochs * n_batches, falls=True)]
    stages += [
        Stage(rate=recipe.learning_rate, steps=recipe.epochs * n_batches, falls=recipe.schedule == "cosine"),
    ]
    momentum = recipe.average_momentum
    optimizer = AveragingAdam(
        StagedRate([stage for stage in stages if stage.steps]),
        weight_decay=recipe.weight_decay or None,
        use_ema=momentum > 0,
        ema_momentum=momentum or 0.99,
    )
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if model.layers[-1].name == ANSWER:
        loss, accuracy = loss_beside_targets(recipe, n_labels), accuracy_beside_targets(n_labels)
        model.compile(optimizer, loss, metrics=[accuracy])
    else:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
        model.compile(optimizer, loss, metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])


class AveragingAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam that keeps the running average of the weights beside them, where Keras' own puts it in their place."""

    def finalize_variable_values(self, var_list: Any) -> None:
        """Leaves the weights as they are: training goes on with them."""


def size(model: Any) -> dict[str, int]:
    """Weights of a model, and multiplications for one segment."""
    products = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            cells = layer.output.shape[1:-1]  # of a picture, none of a vector
            products += int(np.prod(layer.kernel.shape)) * int(np.prod(cells))
    return {"weights": int(model.count_params()), "multiplications": products}


def take_over(model: Any, earlier: Any) -> None:
    """Sets the weights of each layer of `model` that `earlier` has too, by name and shapes."""
    names = {layer.name for layer in earlier.layers}
    for layer in model.layers:
        if layer.name in names:
            weights = earlier.get_layer(layer.name).get_weights()
            if [weight.shape for weight in weights] == [weight.shape for weight in layer.get_weights()]:
                layer.set_weights(weights)


@contextmanager
def as_judged(model: Any, plain: Iterable[Any] = ()) -> Iterator[None]:
    """Meanwhile the weights are their running average, if the optimizer keeps one, and the statistics of batch
    normalisation are those of `plain`, pictures (batch, segment_frames, n_mels, 1), if there are any: what is judged is
    neither augmented nor mixed with a teacher's crops, and its statistics are others.
    """
    kept = model.get_weights()
    if model.optimizer.use_ema:
        averages = model.optimizer._model_variables_moving_average
        for weight, average in zip(model.trainable_variables, averages, strict=True):
            weight.assign(average)
    _settle(model, plain)
    try:
        yield
    finally:
        model.set_weights(kept)


def _settle(model: Any, plain: Iterable[Any]) -> None:
    """Sets the statistics of batch normalisation to their mean over the batches of `plain`."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for number, pictures in enumerate(plain):
        for layer in norms:
            layer.momentum = number / (number + 1)
        model(pictures, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training with a learning rate of its own."""

    rate: float
    steps: int
    falls: bool
    """To 0, along a half cosine."""


class StagedRate(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of stages that follow one another; that of the last one's end for ever after."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        super().__init__()
        self.stages = tuple(stages)

    def __call__(self, step: Any) -> Any:
        """The rate at a step, counted from 0."""
        step = keras.ops.cast(step, "float32")
        start, rate = 0, keras.ops.zeros_like(step)
        for number, stage in enumerate(self.stages):
            done = keras.ops.clip((step - start) / stage.steps, 0, 1)
            here = stage.rate * (0.5 + 0.5 * keras.ops.cos(np.pi * done)) if stage.falls else stage.rate + 0 * done
            rate = here if number == 0 else keras.ops.where(step < start, rate, here)
            start += stage.steps
        return rate

    def get_config(self) -> dict[str, Any]:
        """What Keras writes beside the weights."""
        return {"stages": [asdict(stage) for stage in self.stages]}


def loss_beside_targets(recipe: Recipe, n_labels: int) -> Any:
    """Cross-entropy of labelled rows plus squared error of taught ones, see `Feed.epoch` for what a row holds."""

    def loss(truth: Any, answer: Any) -> Any:
        shares, values, taught = truth[:, :n_labels], truth[:, n_labels:-1], truth[:, -1]
        smooth = recipe.label_smoothing
        shares = shares * (1 - smooth) + (1 - taught[:, None]) * (smooth / n_labels)
        surprise = -keras.ops.sum(shares * keras.ops.log_softmax(answer[:, :n_labels], axis=-1), axis=-1)
        error = keras.ops.mean(keras.ops.square(answer[:, n_labels:] - values), axis=-1)
        return surprise + recipe.target_weight * taught * error

    return loss


def accuracy_beside_targets(n_labels: int) -> Any:
    """The share of labelled rows whose greatest logit is right; 0 in a batch without any."""

    def accuracy(truth: Any, answer: Any) -> Any:
        labelled = 1 - truth[:, -1]
        right = keras.ops.argmax(truth[:, :n_labels], axis=-1) == keras.ops.argmax(answer[:, :n_labels], axis=-1)
        right = keras.ops.cast(right, labelled.dtype)
        return keras.ops.sum(right * labelled) / keras.ops.maximum(keras.ops.sum(labelled), 1)

    return accuracy


def reseed(model: Any, seed: int, epoch: int) -> None:
    """Makes the dropout of an epoch depend on (seed, epoch) alone: Keras keeps no seed state in a weights file."""
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    for number, layer in enumerate(dropouts):
        drawn = np.random.default_rng((seed, epoch, number)).integers(2**32, size=2, dtype=np.uint32)
        layer.seed_generator.state.assign(drawn)


def _vector(x: Any, head: Head) -> Any:
    if head == "mean":
        return keras.layers.GlobalAveragePooling2D()(x)
    if head == "bands":
        x = keras.layers.AveragePooling2D((x.shape[1], 1))(x)
    return keras.layers.Flatten()(x)


def _block(x: Any, block: Block, recipe: Recipe, name: str) -> Any:
    strides = (block.stride_time, block.stride_mel)
    x = keras.layers.Conv2D(
        block.filters, block.kernel, strides=strides, padding="same", use_bias=not recipe.batch_norm, name=name
    )(x)
    if recipe.batch_norm:
        x = keras.layers.BatchNormalization(momentum=recipe.batch_norm_momentum, name=f"{name}_norm")(x)
    x = keras.layers.ReLU()(x)
    if block.pool_time * block.pool_mel > 1:
        x = keras.layers.MaxPooling2D((block.pool_time, block.pool_mel))(x)
    return keras.layers.Dropout(block.dropout_percent / 100)(x) if block.dropout_percent else x

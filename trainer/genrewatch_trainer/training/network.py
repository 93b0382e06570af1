"""A recipe as a Keras 3 model, on the backend that KERAS_BACKEND names. Importing this loads Keras.

    log_mel (batch, segment_frames, n_mels, 1) -> blocks -> vector -> dropout -> logits (batch, n_labels)
                                                           vector -> values (batch, n_values), with a teacher

A model with a teacher has two named outputs, each with its own loss and sample weights: cross-entropy of the logits on
labelled rows, mean squared error of the values on rows with targets.
"""

from typing import Any

import keras
import numpy as np

from genrewatch_trainer.training.feed import Batch
from genrewatch_trainer.training.hardware import evenly
from genrewatch_trainer.training.optimizer import optimizer_of
from genrewatch_trainer.training.recipes import ConvBlock, Head, Recipe

LOGITS, VALUES = "logits", "values"
ACCURACY = f"{LOGITS}_accuracy"
"""Key of the accuracy in Keras' history, with one output or two."""


def build(recipe: Recipe, n_labels: int, n_values: int = 0) -> Any:
    """Build (segment_frames, n_mels, 1) in [0, 1] -> logits (n_labels,); Keras' global seed sets the initial weights.

    With `n_values` the outputs are {"logits": (n_labels,), "values": (n_values,)}, the latter a teacher's values.
    """
    log_mel = keras.Input((recipe.front_end.segment_frames, recipe.front_end.n_mels, 1), name="log_mel")
    x = log_mel
    for number, block in enumerate(recipe.blocks, start=1):
        x = _conv_block(x, block, recipe, f"block{number}")
    x = _vector(x, recipe.head)
    values = keras.layers.Dense(n_values, name=VALUES, dtype="float32")(x) if n_values else None
    if recipe.head_dropout_percent:
        x = keras.layers.Dropout(recipe.head_dropout_percent / 100)(x)
    logits = keras.layers.Dense(n_labels, name=LOGITS, dtype="float32")(x)
    outputs = logits if values is None else {LOGITS: logits, VALUES: values}
    return keras.Model(log_mel, outputs, name=recipe.name)


def logits_of(model: Any) -> Any:
    """Return the model whose only output is the logits, with the same weights."""
    if all(layer.name != VALUES for layer in model.layers):
        return model
    return keras.Model(model.input, model.get_layer(LOGITS).output, name=model.name)


def values_of(model: Any) -> Any:
    """Return the model whose only output is the teacher's values, with the same weights."""
    return keras.Model(model.input, model.get_layer(VALUES).output, name=f"{model.name}_{VALUES}")


def compile_for_training(model: Any, recipe: Recipe, n_batches: int) -> None:
    """Set the optimizer, its schedule over all epochs of `n_batches`, and a loss for each output."""
    optimizer = optimizer_of(recipe, n_batches)
    cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    if not isinstance(model.output, dict):
        model.compile(optimizer, cross_entropy, metrics=[keras.metrics.CategoricalAccuracy(name=ACCURACY)])
        return
    model.compile(
        optimizer,
        loss={LOGITS: cross_entropy, VALUES: keras.losses.MeanSquaredError()},
        loss_weights={LOGITS: 1.0, VALUES: recipe.target_weight},
        weighted_metrics={LOGITS: [keras.metrics.CategoricalAccuracy(name="accuracy")]},
    )


def keras_batch(batch: Batch) -> tuple[Any, ...]:
    """Return a batch as `Model.fit` takes it: inputs and labels, or with a teacher (x, y, sample_weight) by output.

    The sample weights select the rows of each loss; either loss is divided by all rows of the batch. The number of rows
    is a multiple of the devices that share them.
    """
    x, labels = evenly(batch.log_mel), evenly(batch.soft_labels)
    if batch.targets is None:
        return x, labels
    labelled = evenly(batch.labelled)
    return x, {LOGITS: labels, VALUES: evenly(batch.targets)}, {LOGITS: labelled, VALUES: 1 - labelled}


def size(model: Any) -> dict[str, int]:
    """Count the weights of a model, and the multiplications for one segment."""
    products = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            cells = layer.output.shape[1:-1]  # of a feature map; a vector has none
            products += int(np.prod(layer.kernel.shape)) * int(np.prod(cells))
    return {"weights": int(model.count_params()), "multiplications": products}


def transfer_weights(model: Any, earlier: Any) -> None:
    """Copy into `model` the weights of each layer that `earlier` has under the same name with the same shapes."""
    names = {layer.name for layer in earlier.layers}
    for layer in model.layers:
        if layer.name in names:
            weights = earlier.get_layer(layer.name).get_weights()
            if [weight.shape for weight in weights] == [weight.shape for weight in layer.get_weights()]:
                layer.set_weights(weights)


def reseed(model: Any, seed: int, epoch: int) -> None:
    """Make the dropout of an epoch depend on (seed, epoch) only: Keras keeps no seed state in a weights file."""
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


def _conv_block(x: Any, block: ConvBlock, recipe: Recipe, name: str) -> Any:
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

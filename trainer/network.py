"""A recipe as a Keras 3 model, on whichever backend KERAS_BACKEND names. Importing this loads Keras."""

from typing import Any

import keras
import numpy as np

from trainer.recipes import Block, Recipe


def build(recipe: Recipe, n_labels: int) -> Any:
    """(segment_frames, n_mels, 1) in [0, 1] -> logits (n_labels,). Initial weights come from Keras' global seed."""
    picture = keras.Input((recipe.front_end.segment_frames, recipe.front_end.n_mels, 1), name="log_mel")
    x = picture
    for block in recipe.blocks:
        x = _block(x, block, recipe)
    x = keras.layers.Flatten()(x) if recipe.head == "flatten" else keras.layers.GlobalAveragePooling2D()(x)
    if recipe.head_dropout_percent:
        x = keras.layers.Dropout(recipe.head_dropout_percent / 100)(x)
    return keras.Model(picture, keras.layers.Dense(n_labels, name="logits")(x), name=recipe.name)


def compile_for_training(model: Any, recipe: Recipe, n_batches: int) -> None:
    """Sets Adam with the recipe's schedule over all epochs of `n_batches`, and the loss on logits."""
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.epochs * n_batches)
    optimizer = keras.optimizers.Adam(rate, weight_decay=recipe.weight_decay or None)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    model.compile(optimizer, loss, metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])


def reseed(model: Any, seed: int, epoch: int) -> None:
    """Makes the dropout of an epoch depend on (seed, epoch) alone: Keras keeps no seed state in a weights file."""
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    for number, layer in enumerate(dropouts):
        drawn = np.random.default_rng((seed, epoch, number)).integers(2**32, size=2, dtype=np.uint32)
        layer.seed_generator.state.assign(drawn)


def _block(x: Any, block: Block, recipe: Recipe) -> Any:
    strides = (block.stride_time, block.stride_mel)
    x = keras.layers.Conv2D(
        block.filters, block.kernel, strides=strides, padding="same", use_bias=not recipe.batch_norm
    )(x)
    if recipe.batch_norm:
        x = keras.layers.BatchNormalization(momentum=recipe.batch_norm_momentum)(x)
    x = keras.layers.ReLU()(x)
    if block.pool_time * block.pool_mel > 1:
        x = keras.layers.MaxPooling2D((block.pool_time, block.pool_mel))(x)
    return keras.layers.Dropout(block.dropout_percent / 100)(x) if block.dropout_percent else x

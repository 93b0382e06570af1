"""Weights for evaluation: their exponential moving average (EMA), with batch normalisation recalibrated for them.

Training continues with its own weights. Those that are evaluated and saved for use may differ in two ways: they are the
EMA that the optimizer keeps, and the statistics of batch normalisation are those of unaugmented clips, because
augmented clips and crops with a teacher's targets have others.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras


@contextmanager
def evaluation_weights(model: Any, unaugmented: Iterable[Any] = ()) -> Iterator[None]:
    """Give the model its evaluation weights inside the `with` block, and its training weights back after it.

    `unaugmented` holds batches (batch, segment_frames, n_mels, 1) to recalibrate batch normalisation with; without
    any, its running statistics stay.
    """
    kept = model.get_weights()
    if model.optimizer.use_ema:
        averages = model.optimizer._model_variables_moving_average
        for weight, average in zip(model.trainable_variables, averages, strict=True):
            weight.assign(average)
    _recalibrate_batch_norm(model, unaugmented)
    try:
        yield
    finally:
        model.set_weights(kept)


def _recalibrate_batch_norm(model: Any, batches: Iterable[Any]) -> None:
    """Set the statistics of batch normalisation to their mean over the batches."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for number, log_mel in enumerate(batches):
        for layer in norms:
            layer.momentum = number / (number + 1)
        model(log_mel, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum

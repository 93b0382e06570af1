"""Keras model to TFLite: float32, dynamic range, or int8 with int8 input and output. TensorFlow is required.

Input   (1, segment_frames, n_mels, 1)   [0, 1], for int8 quantized
Output  (1, n_labels)                    logits, for int8 quantized
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import ConfigError
from genrewatch_trainer.quiet import held_back, import_quietly
from genrewatch_trainer.run import Run


def load_model(run: Run, *, last: bool = False) -> Any:
    """Load the run's Keras model, see `Run.model`; raises ConfigError on a backend that cannot export to TFLite."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import_quietly("keras")
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ConfigError("KERAS_BACKEND", f"found {keras.backend.backend()}", "tensorflow, which exports to TFLite")
    return run.model(last=last)


def to_float(model: Any, run: Run) -> bytes:
    """Convert the network in float32, as trained."""
    return _convert(_converter(model, run))


def to_dynamic(model: Any, run: Run) -> bytes:
    """Convert to int8 weights with float32 input, output and arithmetic ("dynamic range")."""
    import tensorflow as tf

    converter = _converter(model, run)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return _convert(converter)


def to_int8(model: Any, run: Run) -> bytes:
    """Convert to int8 weights, activations, input and output; representative segments of the run set the ranges."""
    return _convert(int8_converter(model, run))


def int8_converter(model: Any, run: Run) -> Any:
    """Return the converter of `to_int8`."""
    import tensorflow as tf

    segments = run.representative()
    converter = _converter(model, run)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _one_by_one(segments)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter


def convert_function(function: Callable[[Any], Any], shape: tuple[int, ...]) -> bytes:
    """Convert a TensorFlow function of one float32 tensor to float32 TFLite, in built-in operators only."""
    import_quietly("tensorflow")
    import tensorflow as tf

    holder = tf.Module()
    holder.function = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
    concrete = holder.function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return _convert(converter)


def _converter(model: Any, run: Run) -> Any:
    """Return a converter of the model with a batch of 1 and its weights as constants."""
    import keras
    import tensorflow as tf

    segment = keras.Input((run.front_end.segment_frames, run.front_end.n_mels, 1), batch_size=1)
    return tf.lite.TFLiteConverter.from_keras_model(keras.Model(segment, model(segment, training=False)))


def _convert(converter: Any) -> bytes:
    with held_back(1, 2):  # the converter writes pages to both outputs
        content: bytes = converter.convert()
    return content


def _one_by_one(segments: NDArray[np.float32]) -> Iterator[list[NDArray[np.float32]]]:
    for segment in segments:
        yield [segment[None, :, :, None]]

"""The devices and the number format of a fit, on whichever backend Keras runs.

`mixed` is Keras' mixed_bfloat16: weights and sums stay float32, products are bfloat16, whose range is float32's, so no
loss has to be scaled and a run is resumed as any other. Keras' own data parallelism spreads a batch over all devices,
each taking the same number of rows. A backend without it is refused.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import ConfigError

POLICIES = {"float32": "float32", "mixed": "mixed_bfloat16"}


@contextmanager
def hardware(*, precision: str, every_device: bool) -> Iterator[None]:
    """Build, fit and evaluate models inside the `with` block on these devices in this number format."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        with _every_device() if every_device else nullcontext():
            yield
    finally:
        keras.config.set_dtype_policy(before)


def n_devices() -> int:
    """Return the number of devices that share a batch."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return int(tf.distribute.get_strategy().num_replicas_in_sync)
    spread = keras.distribution.distribution() if keras.backend.backend() == "jax" else None
    return int(spread.device_mesh.devices.size) if spread else 1


def evenly(rows: NDArray[Any]) -> NDArray[Any]:
    """Repeat the first rows of (n, ...) at its end, until each device gets the same number."""
    missing = -len(rows) % n_devices()
    return np.resize(rows, (len(rows) + missing, *rows.shape[1:])) if missing else rows


def predict(model: Any, rows: NDArray[np.float32], batch: int) -> NDArray[np.float32]:
    """Compute a model's output (n, ...) of rows (n, ...), `batch` rows at a time on each device."""
    output = model.predict(evenly(rows), batch_size=batch * n_devices(), verbose=0)
    return np.asarray(output[: len(rows)], np.float32)


def in_float32(model: Any) -> Any:
    """Make a model trained in mixed precision compute in float32, as a device or an exporter does."""
    for layer in model.layers:
        layer.dtype_policy = keras.DTypePolicy("float32")
    return model


@contextmanager
def _every_device() -> Iterator[None]:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        names = [device.name.replace("/device:", "") for device in devices]
        with tf.distribute.MirroredStrategy(names).scope(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Your input ran out of data")  # Keras asks for one batch too many
            yield
    elif backend == "jax":
        with keras.distribution.DataParallel().scope():
            yield
    else:
        raise ConfigError("--devices", f"found all on backend {backend}", "tensorflow or jax, or one device")

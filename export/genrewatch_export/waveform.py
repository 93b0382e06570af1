"""`genre_waveform.tflite`: from a segment's samples to the calibrated posterior, for devices without our front end.

    samples (1, segment_samples) float32 -> frames -> window -> spectrum -> mel -> dB -> [0, 1] -> the bundle's network
    -> logits / temperature -> softmax -> posterior (1, n_labels) float32

The front end is that of `genrewatch.contract.front_end` in built-in float32 TFLite operators; the network is the
bundle's own, operator for operator.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import Bundle, Manifest
from genrewatch.contract.errors import BundleError, DataError, os_error_reason
from genrewatch.contract.front_end import FrontEndConfig, Samples, mel_filters
from genrewatch.contract.vote import Posterior
from genrewatch.inference.runtime import interpreter
from genrewatch_export.chain import chain
from genrewatch_export.convert import convert_function
from genrewatch_export.metadata import Description, with_metadata
from genrewatch_trainer.files import atomic_file

LICENCE = "Apache-2.0"
ROUNDS = 30
POSTERIOR_LIMIT = 0.02
"""Largest difference of a probability from the bundle's."""


class WaveformModel:
    """A waveform model opened for inference."""

    def __init__(self, path: Path) -> None:
        try:
            self._interpreter = interpreter(path.read_bytes())
        except OSError as exc:
            raise BundleError(str(path), os_error_reason(exc)) from None
        except ValueError as exc:
            raise BundleError(str(path), f"the runtime cannot read it ({str(exc).splitlines()[0]})") from None
        self._in, self._out = (
            details()[0] for details in (self._interpreter.get_input_details, self._interpreter.get_output_details)
        )

    @property
    def segment_samples(self) -> int:
        """Number of input samples."""
        return int(self._in["shape"][-1])

    @property
    def n_labels(self) -> int:
        """Number of output probabilities."""
        return int(self._out["shape"][-1])

    def posterior(self, samples: Samples) -> Posterior:
        """Compute (segment_samples,) -> (n_labels,)."""
        self._interpreter.set_tensor(self._in["index"], np.asarray(samples, np.float32)[None])
        self._interpreter.invoke()
        found: Posterior = self._interpreter.get_tensor(self._out["index"])[0]
        return found

    def ms(self) -> float:
        """Measure the median CPU time per segment on this machine, one thread, in ms."""
        samples = np.random.default_rng(0).normal(0, 0.1, self.segment_samples).astype(np.float32)
        times = []
        for _ in range(ROUNDS):
            start = time.process_time()
            self.posterior(samples)
            times.append(time.process_time() - start)
        return 1000 * float(np.median(times))


def write_waveform(bundle: Bundle, path: Path) -> WaveformModel:
    """Write the model of a bundle; raises DataError where it does not give the bundle's golden posterior."""
    content = waveform_model(bundle)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as partial:
        partial.write_bytes(content)
        difference = np.abs(WaveformModel(partial).posterior(bundle.golden.waveform) - bundle.golden.posterior).max()
        if not difference <= POSTERIOR_LIMIT:
            raise DataError(str(path), f"posterior differs by {difference:.2g}", f"at most {POSTERIOR_LIMIT:g}")
    return WaveformModel(path)


def waveform_model(bundle: Bundle) -> bytes:
    """Return the content of `genre_waveform.tflite`."""
    manifest = bundle.manifest
    config = manifest.front_end
    front_end = convert_function(lambda samples: log_mel(samples, config), (1, config.segment_samples))
    tail = convert_function(lambda logits: _posterior(logits, manifest.temperature), (1, len(manifest.labels)))
    return with_metadata(chain([front_end, bundle.model, tail], description=manifest.name), _description(manifest))


def log_mel(samples: Any, config: FrontEndConfig) -> Any:
    """Compute `FrontEnd.log_mel` in TensorFlow: (1, segment_samples) -> (1, segment_frames, n_mels, 1) in [0, 1]."""
    import tensorflow as tf

    spectrum = tf.signal.rfft(_frames(samples, config) * _window(config))
    power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
    mel = tf.matmul(power, tf.constant(mel_filters(config).T.astype(np.float32)))
    decibels = tf.math.log(tf.maximum(mel, np.float32(10 ** (config.floor_db / 10)))) * np.float32(10 / np.log(10))
    reference = tf.maximum(tf.reduce_max(decibels), np.float32(config.floor_db + config.range_db))
    scaled = (decibels - reference) * np.float32(1 / config.range_db) + np.float32(1)
    return tf.reshape(tf.clip_by_value(scaled, 0.0, 1.0), (1, config.segment_frames, config.n_mels, 1))


def _frames(samples: Any, config: FrontEndConfig) -> Any:
    """Cut (1, segment_samples) into (segment_frames, n_fft), without an index table.

    The samples are laid out in rows of hop_length; a frame is a row and as much of the next rows as it needs.
    """
    import tensorflow as tf

    hop, n_rows = config.hop_length, -(-config.n_fft // config.hop_length)
    missing = (config.segment_frames - 1 + n_rows) * hop - config.segment_samples
    rows = tf.reshape(tf.pad(samples, [[0, 0], [0, missing]]), (config.segment_frames - 1 + n_rows, hop))
    widths = [min(hop, config.n_fft - k * hop) for k in range(n_rows)]
    return tf.concat([rows[k : k + config.segment_frames, :width] for k, width in enumerate(widths)], axis=1)


def _window(config: FrontEndConfig) -> NDArray[np.float32]:
    n = config.n_fft
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)  # periodic Hann


def _posterior(logits: Any, temperature: float) -> Any:
    import tensorflow as tf

    return tf.nn.softmax(logits * np.float32(1 / temperature))


def _without(manifest: Manifest) -> str:
    """Return what the model lacks of the bundle's pipeline."""
    return "" if manifest.pre_filter is None else "; without the pre-filter, which takes off what lies below the music"


def _description(manifest: Manifest) -> Description:
    config = manifest.front_end
    return Description(
        name=manifest.name,
        version=manifest.version,
        text=f"{config.segment_s:.2f} s of sound to the probability of each genre{_without(manifest)}",
        author="genrewatch",
        licence=LICENCE,
        sample_rate=config.sample_rate,
        input_name="samples",
        input_text=f"{config.segment_samples} samples of mono float32 in [-1, 1] at {config.sample_rate} Hz",
        output_name="posterior",
        output_text="calibrated probabilities that sum to 1, in the order of the labels",
        labels=manifest.labels,
    )

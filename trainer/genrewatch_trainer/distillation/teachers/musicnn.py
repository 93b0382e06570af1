"""musicnn as a teacher program: `python -m genrewatch_trainer.distillation.teachers.musicnn CHECKPOINT_DIR`.

Pons and Serra, musicnn: pre-trained convolutional neural networks for music audio tagging, ISMIR 2019 (late breaking);
its weights (ISC licence) are in the package of that name, CHECKPOINT_DIR is its folder `MSD_musicnn` or `MTT_musicnn`.
The network is written here from the published architecture and reads those weights; they are not shipped.

    log-mel, 96 bands, frames of 16 ms, segments of 187 frames (3 s)
      timbre: 7 x 38 and 7 x 67 (frames x bands), rhythm: 128, 64 and 32 frames x 1 band; maximum over bands
      three layers of 7 frames, the later two with residual connections
      maximum and mean over time of all of it -> dense 200 -> dense 50 tags

The vector of a crop is the mean over its segments of those 200 values and the logits of the 50 tags.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch.audio.resample import Resampler
from genrewatch.contract.errors import ConfigError
from genrewatch_trainer.distillation.teachers.program import Teacher, run_program

RATE, N_FFT, HOP, BANDS, SEGMENT_FRAMES = 16_000, 512, 256, 96, 187
SEGMENT_HOP = 130
"""Frames between the starts of segments, approximately."""
KERNELS = ((7, 38), (7, 67), (128, 1), (64, 1), (32, 1))
"""Of the front end: frames x bands."""
EPSILON = 0.001
Weights = Mapping[str, NDArray[np.float32]]


def read_weights(folder: Path) -> Weights:
    """Read variable name -> value from the TensorFlow checkpoint in a folder; raises ConfigError."""
    import tensorflow as tf

    try:
        reader = tf.compat.v1.train.NewCheckpointReader(f"{folder}/")
    except (tf.errors.OpError, ValueError):
        raise ConfigError(str(folder), "holds no checkpoint", "the folder MSD_musicnn of the package musicnn") from None
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute (n,) at 16 kHz -> (1 + n // 256, 96): log10(1 + 10000 power)."""
    import librosa

    power = librosa.feature.melspectrogram(
        y=samples, sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=BANDS, pad_mode="constant"
    )
    found: NDArray[np.float32] = np.log10(1 + 10_000 * power.T).astype(np.float32)
    return found


def segments(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut (n_frames, 96) into (n_segments, 187, 96), evenly from the first frame to the last; repeat a short one."""
    if len(frames) < SEGMENT_FRAMES:
        frames = np.resize(frames, (SEGMENT_FRAMES, frames.shape[1]))
    last = len(frames) - SEGMENT_FRAMES
    starts = np.rint(np.linspace(0, last, max(1, round(last / SEGMENT_HOP)))).astype(int)
    return np.stack([frames[start : start + SEGMENT_FRAMES] for start in starts])


class Musicnn:
    """The network: (n_segments, 187, 96) -> (n_segments, 250), 200 values and 50 logits."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def __call__(self, log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the values and logits of each segment."""
        x = self._normed(log_mel[..., None], 0)[..., 0]
        front = np.concatenate([self._front(x, number) for number in range(len(KERNELS))], axis=2)
        first = self._middle(front, 5)
        second = self._middle(first, 6) + first
        third = self._middle(second, 7) + second
        features = np.concatenate([front, first, second, third], axis=2)
        pooled = np.stack([features.max(axis=1), features.mean(axis=1)], axis=2).reshape(len(features), -1)
        values = self._normed(_relu(self._dense(self._normed(pooled, 9), "dense")), 10)
        return np.concatenate([values, self._dense(values, "dense_1")], axis=1)

    def _front(self, x: NDArray[np.float32], number: int) -> NDArray[np.float32]:
        frames, _ = KERNELS[number]
        before = (frames - 1) // 2
        padded = np.pad(x, ((0, 0), (before, frames - 1 - before), (0, 0)))
        kernel, bias = self._convolution(number)
        found = _convolved(padded[..., None], kernel)  # (segments, frames, bands, filters)
        scale, shift = self._norm(number + 1)
        # batch norm keeps the order of the bands, or reverses it where its scale is negative
        best = np.where(scale > 0, found.max(axis=2), found.min(axis=2))
        return _relu(best + bias) * scale + shift

    def _middle(self, x: NDArray[np.float32], number: int) -> NDArray[np.float32]:
        padded = np.pad(x, ((0, 0), (3, 3), (0, 0)))
        kernel, bias = self._convolution(number)
        found = _convolved(padded[..., None], kernel)[:, :, 0]
        return self._normed(_relu(found + bias), number + 1)

    def _convolution(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        name = f"conv2d_{number}" if number else "conv2d"
        return self._weights[f"{name}/kernel"], self._weights[f"{name}/bias"]

    def _norm(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        gamma, beta, mean, variance = (
            self._weights[f"{name}/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        return scale, beta - mean * scale

    def _normed(self, x: NDArray[np.float32], number: int) -> NDArray[np.float32]:
        scale, shift = self._norm(number)
        return x * scale + shift

    def _dense(self, x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        return x @ self._weights[f"{name}/kernel"] + self._weights[f"{name}/bias"]


def _convolved(x: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convolve without padding, as one product of matrices in bfloat16.

    bfloat16 halves the time on a processor that has it.
    """
    import tensorflow as tf

    height, width, depth, n_filters = kernel.shape
    n, n_frames, n_bands, _ = x.shape
    shape = n_frames - height + 1, n_bands - width + 1
    patches = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(1, 2))  # n, frames, bands, depth, h, w
    rows = tf.cast(np.moveaxis(patches, 3, 5).reshape(-1, height * width * depth), tf.bfloat16)
    product = tf.matmul(rows, tf.cast(kernel.reshape(-1, n_filters), tf.bfloat16))
    found: NDArray[np.float32] = tf.cast(product, tf.float32).numpy().reshape(n, *shape, n_filters)
    return found


def _relu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.maximum(x, np.float32(0))


def vector_of(network: Musicnn, samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Compute the vector (250,) of a crop (n,) at `rate`."""
    resampled = Resampler(rate, RATE).push(samples, last=True) if rate != RATE else samples
    found: NDArray[np.float32] = network(segments(log_mel(resampled))).mean(axis=0)
    return found


def main(arguments: Sequence[str]) -> int:
    """Run the program; see `run_program`."""

    def open_teacher(checkpoint: Path) -> Teacher:
        return partial(vector_of, Musicnn(read_weights(checkpoint)))

    return run_program("musicnn", "CHECKPOINT_DIR", arguments, open_teacher)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

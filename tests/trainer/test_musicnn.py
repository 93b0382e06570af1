"""The teacher musicnn, with random weights of its architecture, against TensorFlow's own layers."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrewatch_trainer.distillation.teach import run_teacher
from genrewatch_trainer.distillation.teachers.musicnn import (
    BANDS,
    KERNELS,
    RATE,
    SEGMENT_FRAMES,
    Musicnn,
    log_mel,
    main,
    segments,
    vector_of,
)

FILTERS, MIDDLE, VALUES, TAGS = 3, 4, 6, 5


def tone(hz: float, rate: int, seconds: float) -> np.ndarray[Any, Any]:
    return np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray[Any, Any]]:
    """As the package's checkpoint names them, with fewer filters."""
    rng = np.random.default_rng(5)
    found: dict[str, np.ndarray[Any, Any]] = {}

    def norm(number: int, size: int) -> None:
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        found[f"{name}/gamma"] = rng.normal(size=size)  # of either sign
        found[f"{name}/beta"], found[f"{name}/moving_mean"] = rng.normal(size=(2, size))
        found[f"{name}/moving_variance"] = rng.uniform(0.5, 2, size)

    def layer(name: str, *shape: int) -> None:
        found[f"{name}/kernel"] = rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
        found[f"{name}/bias"] = rng.normal(size=shape[-1]) / 10

    norm(0, 1)
    for number, kernel in enumerate(KERNELS):
        layer(f"conv2d_{number}" if number else "conv2d", *kernel, 1, FILTERS)
        norm(number + 1, FILTERS)
    front = FILTERS * len(KERNELS)
    for number, width in ((5, front), (6, MIDDLE), (7, MIDDLE)):
        layer(f"conv2d_{number}", 7, width, 1, MIDDLE)
        norm(number + 1, MIDDLE)
    norm(9, 2 * (front + 3 * MIDDLE))
    layer("dense", 2 * (front + 3 * MIDDLE), VALUES)
    norm(10, VALUES)
    layer("dense_1", VALUES, TAGS)
    return {name: value.astype(np.float32) for name, value in found.items()}


def by_tensorflow(weights: dict[str, Any], log_mel: Any) -> Any:
    import tensorflow as tf

    def norm(x: Any, number: int) -> Any:
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        of = [weights[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "beta", "gamma")]
        return tf.nn.batch_normalization(x, *of, 0.001)

    def convolved(x: Any, number: int, padding: str) -> Any:
        name = f"conv2d_{number}" if number else "conv2d"
        return tf.nn.relu(tf.nn.conv2d(x, weights[f"{name}/kernel"], 1, padding) + weights[f"{name}/bias"])

    x, three = norm(log_mel[..., None], 0), [[0, 0], [3, 3], [0, 0], [0, 0]]
    timbre = [norm(convolved(tf.pad(x, three), i, "VALID"), i + 1) for i in (0, 1)]
    rhythm = [norm(convolved(x, i, "SAME"), i + 1) for i in (2, 3, 4)]
    layers = [tf.concat([tf.reduce_max(part, axis=2) for part in timbre + rhythm], axis=2)]
    for number in (5, 6, 7):
        layer = norm(convolved(tf.pad(layers[-1][..., None], three), number, "VALID"), number + 1)[:, :, 0]
        layers.append(layer + layers[-1] if number > 5 else layer)
    everything = tf.concat(layers, axis=2)
    pooled = tf.stack([tf.reduce_max(everything, axis=1), tf.reduce_mean(everything, axis=1)], axis=2)
    flat = norm(tf.reshape(pooled, (len(log_mel), -1)), 9)
    values = norm(tf.nn.relu(flat @ weights["dense/kernel"] + weights["dense/bias"]), 10)
    return tf.concat([values, values @ weights["dense_1/kernel"] + weights["dense_1/bias"]], axis=1).numpy()


def test_the_network_is_what_tensorflow_makes_of_the_same_weights(
    weights: dict[str, Any], rng: np.random.Generator
) -> None:
    noise, colour = rng.uniform(0, 3, (2, SEGMENT_FRAMES, BANDS)), rng.uniform(0, 1, (2, 1, BANDS))
    x = (noise * colour * [[[0.2]], [[1.0]]]).astype(np.float32)
    found, wanted = Musicnn(weights)(x), by_tensorflow(weights, x)
    assert found.shape == (2, VALUES + TAGS)
    spread = wanted.std()
    np.testing.assert_allclose(found, wanted, atol=0.05 * spread)
    assert np.abs(wanted[0] - wanted[1]).max() > 0.1 * spread, "the input makes a difference"


def test_segments_reach_from_the_first_frame_to_the_last() -> None:
    frames = np.arange(466, dtype=np.float32)[:, None].repeat(BANDS, axis=1)
    found = segments(frames)
    assert found.shape == (2, SEGMENT_FRAMES, BANDS)
    assert (found[0, 0, 0], found[-1, -1, 0]) == (0, 465)
    assert segments(frames[:100]).shape == (1, SEGMENT_FRAMES, BANDS)


def test_a_tone_is_loudest_in_its_band() -> None:
    samples = tone(1000, RATE, 1.0)
    assert log_mel(samples).shape == (1 + len(samples) // 256, BANDS)
    assert 20 < log_mel(samples).mean(axis=0).argmax() < 40


@pytest.mark.slow
def test_as_a_program_it_writes_the_vectors_of_crops(weights: dict[str, Any], tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [tf.compat.v1.Variable(value, name=name) for name, value in weights.items()]
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(variables).save(session, f"{tmp_path}/", write_meta_graph=False)
    rate, crops = 22_050, [tone(hz, 22_050, 4.0) for hz in (220, 880, 3000)]
    command = [
        sys.executable,
        "-m",
        "genrewatch_trainer.distillation.teachers.musicnn",
        str(tmp_path),
        str(rate),
        str(len(crops[0])),
    ]
    found = run_teacher(command, iter(crops))
    wanted = [vector_of(Musicnn(weights), crop, rate) for crop in crops]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_what_is_no_checkpoint_is_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "22050", "100"]) == 2
    assert "holds no checkpoint" in capsys.readouterr().err
    assert main(["x"]) == 2
    assert capsys.readouterr().err.count("\n") == 1

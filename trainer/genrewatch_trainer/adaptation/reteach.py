"""A bundle's body taught again: its own features of clean sound, also from degraded copies, and a teacher's values.

    crop                  -> body -> features -> values of a teacher, by a dense layer
    crop or degraded copy -> body -> features -> features of the earlier body for the clean crop, by a dense layer

So the body keeps what it knows (learning without forgetting: Li and Hoiem, 2016), learns to find it in poor sound, and
makes the teacher's values linear in its features. Importing this loads Keras.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import GOLDEN, MODEL, Bundle
from genrewatch.contract.bundle_writer import write_bundle
from genrewatch.contract.front_end import FrontEnd
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.golden import make_golden
from genrewatch_trainer.adaptation.body import CONVOLUTION, MAX_POOL, Layer, read_layers, replace_layers
from genrewatch_trainer.adaptation.reteach_rows import Batch, Rows
from genrewatch_trainer.progress import progress

FEATURES, VALUES = "features", "values"
WARM_UP = 0.08
"""Share of the steps in which the learning rate rises."""
LEAST_DEVIATION = 0.1
"""Of a feature, relative to the median feature's: rarer ones do not weigh more."""
RIDGE = 0.03
PREDICT_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The course of a training."""

    steps: int
    batch: int = 48
    rate: float = 0.001
    value_weight: float = 1.0
    """Weight of the teacher's values, relative to the features."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Explained:
    """Shares of variance that are explained on held-out crops."""

    features: float
    """Of the earlier body's features, from clean crops."""
    degraded: float
    """The same from degraded copies."""
    values: float
    """Of the teacher's values, mean of their shares."""
    least_value: float
    """Of the value that is explained worst."""


def network(layers: Sequence[Layer], segment_frames: int, n_mels: int) -> Any:
    """Build a body in float32: (segment_frames, n_mels, 1) in [0, 1] -> features (n_features,)."""
    log_mel = keras.Input((segment_frames, n_mels, 1), name="log_mel")
    x = log_mel
    for layer in layers:
        if layer.kind == CONVOLUTION:
            assert layer.kernel is not None
            convolution = keras.layers.Conv2D(
                layer.kernel.shape[3], layer.size, strides=layer.strides, padding="same", activation="relu"
            )
            x = convolution(x)
            convolution.set_weights([layer.kernel, layer.bias])
        else:
            pool = keras.layers.MaxPooling2D if layer.kind == MAX_POOL else keras.layers.AveragePooling2D
            x = pool(layer.size, strides=layer.strides)(x)
    return keras.Model(log_mel, keras.layers.Flatten()(x))


def layers_of(model: Any, layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers with the weights of a model that `network` built of them."""
    weights = iter(_convolutions(model))
    found = []
    for layer in layers:
        if layer.kind == CONVOLUTION:
            kernel, bias = next(weights).get_weights()
            layer = Layer(kind=layer.kind, size=layer.size, strides=layer.strides, kernel=kernel, bias=bias)
        found.append(layer)
    return found


def largest_outputs(model: Any, segments: NDArray[np.float32]) -> list[float]:
    """Return the greatest output of each convolution for segments (n, segment_frames, n_mels)."""
    outputs = keras.Model(model.input, [layer.output for layer in _convolutions(model)])
    most = np.zeros(len(outputs.outputs))
    for start in range(0, len(segments), PREDICT_BATCH):
        found = outputs.predict_on_batch(segments[start : start + PREDICT_BATCH, ..., None])
        most = np.maximum(most, [float(np.max(each)) for each in found])
    return [float(value) for value in most]


def reteach(
    model: bytes, start: bytes, rows: Rows, front_end: FrontEnd, schedule: Schedule
) -> tuple[bytes, Explained, Explained]:
    """Teach the body of `start` again, with that of `model` as one teacher.

    Return `model` with the new body and its old head, and what is explained before and after.
    """
    layers, config = read_layers(model), front_end.config
    earlier, body = (network(read_layers(each), config.segment_frames, config.n_mels) for each in (model, start))
    student = _Student(body, earlier, rows, front_end)
    before = student.explained()
    student.train(schedule)
    after = student.explained()
    largest = largest_outputs(body, front_end.scale(rows.representative().astype(np.float32)))
    return replace_layers(model, layers_of(body, layers), largest), before, after


def write_reteach(bundle: Bundle, model: bytes, output: Path, schedule: Schedule, crops: Mapping[str, int]) -> Bundle:
    """Write a copy of the bundle with another body; its calibration is no longer valid, so it has none."""
    provenance = bundle.manifest.provenance | {"reteach": asdict(schedule) | {"crops": dict(crops)}}
    manifest = replace(
        bundle.manifest,
        provenance=provenance,
        thresholds=(),
        metrics={},
        summary=None,
        output=Classifier(model).output,
        files={name: bundle.manifest.files[name] for name in (MODEL, GOLDEN)},
    )
    classifier = Classifier(model, temperature=manifest.temperature)
    golden = make_golden(bundle.golden.samples, FrontEnd(manifest.front_end), classifier)
    return write_bundle(output, manifest, model, golden)


class _Student:
    """A body with two dense layers, and the earlier body that gives the features to learn."""

    def __init__(self, body: Any, earlier: Any, rows: Rows, front_end: FrontEnd) -> None:
        """Start the layers at what a regression finds, so that the body learns from the first step."""
        self._earlier, self._rows, self._front_end = earlier, rows, front_end
        x = self._features(np.concatenate([crops.power_db for crops in rows.training]))
        y = np.concatenate([crops.values for crops in rows.training])
        deviation = x.std(axis=0)
        deviation = np.maximum(deviation, LEAST_DEVIATION * np.median(deviation) + 1e-9)
        self._mean, self._deviation = x.mean(axis=0), deviation
        x = self._standard(x)
        standard = keras.layers.Normalization(mean=self._mean, variance=deviation**2)(body.output)
        features = keras.layers.Dense(x.shape[1], name=FEATURES)
        values = keras.layers.Dense(y.shape[1], name=VALUES)
        self._model = keras.Model(body.input, {FEATURES: features(standard), VALUES: values(standard)})
        features.set_weights([np.eye(x.shape[1]), np.zeros(x.shape[1])])
        penalty = RIDGE * len(x) * np.eye(x.shape[1])
        values.set_weights([np.linalg.solve(x.T @ x + penalty, x.T @ y), np.zeros(y.shape[1])])

    def train(self, schedule: Schedule) -> None:
        """Train body and layers; the learning rate rises, then falls along a half cosine."""
        warm_up = max(1, round(WARM_UP * schedule.steps))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, schedule.steps - warm_up, warmup_target=schedule.rate, warmup_steps=warm_up
        )
        self._model.compile(
            keras.optimizers.Adam(rate, clipnorm=1.0),
            loss={FEATURES: "mse", VALUES: "mse"},
            loss_weights={FEATURES: 1.0, VALUES: schedule.value_weight},
        )
        rng = np.random.default_rng(schedule.seed)
        with progress(total=schedule.steps, done=0, unit="step", name="reteach") as bar:
            for _ in range(schedule.steps):
                self._step(self._rows.draw(schedule.batch, rng))
                bar.update()

    def explained(self) -> Explained:
        """Measure on the held-out crops."""
        held_out = self._rows.held_out()
        wanted = self._standard(self._features(held_out.power_db))
        features, values = self._predict(held_out.power_db)
        of_values = _shares(values, held_out.values)
        n_copies, degraded = held_out.degraded.shape[1], math.nan
        if n_copies:
            copies = held_out.degraded.reshape(-1, *held_out.degraded.shape[2:])
            degraded = _share(self._predict(copies)[0], np.repeat(wanted, n_copies, axis=0))
        return Explained(
            features=_share(features, wanted),
            degraded=degraded,
            values=float(of_values.mean()),
            least_value=float(of_values.min()),
        )

    def _step(self, batch: Batch) -> None:
        target = self._standard(np.asarray(self._earlier.predict_on_batch(self._input(batch.reference_db))))
        n = len(batch.known)
        self._model.train_on_batch(
            self._input(batch.power_db),
            {FEATURES: target, VALUES: batch.values},
            {FEATURES: np.ones(n, np.float32), VALUES: batch.known * (n / max(1.0, float(batch.known.sum())))},
        )

    def _input(self, power_db: NDArray[np.floating]) -> NDArray[np.float32]:
        return self._front_end.scale(power_db.astype(np.float32))[..., None]

    def _standard(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        standard: NDArray[np.float32] = (features - self._mean) / self._deviation
        return standard

    def _features(self, power_db: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.concatenate(
            [np.asarray(self._earlier.predict_on_batch(self._input(some))) for some in _few(power_db)]
        )

    def _predict(self, power_db: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        parts = [self._model.predict_on_batch(self._input(some)) for some in _few(power_db)]
        features, values = (np.concatenate([np.asarray(part[name]) for part in parts]) for name in (FEATURES, VALUES))
        return features, values


def _few(rows: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    """Yield the rows a batch at a time."""
    for start in range(0, len(rows), PREDICT_BATCH):
        yield rows[start : start + PREDICT_BATCH]


def _convolutions(model: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def _share(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Return the explained share of the variance of all columns together, so that rare features do not matter."""
    error = np.square(found - wanted, dtype=np.float64).mean()
    return float(1 - error / max(wanted.var(axis=0, dtype=np.float64).mean(), 1e-12))


def _shares(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the explained share of the variance of each column."""
    variance = np.maximum(wanted.var(axis=0, dtype=np.float64), 1e-12)
    shares: NDArray[np.float64] = 1 - np.square(found - wanted, dtype=np.float64).mean(axis=0) / variance
    return shares

"""Number formats, several devices, other backends: the same run directory, weights that a device can read."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tests.lab import TINY_RECIPE, experiment

from genrewatch_trainer.cli import main
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.training.benchmark import feed_speed

ROOT = Path(__file__).parents[2]
FIT_ON_TWO = """
import sys
from dataclasses import replace
from pathlib import Path
import keras
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.lab import TINY_RECIPE, experiment
from genrewatch_trainer.training.fit import fit
from genrewatch_trainer.training.hardware import hardware, n_devices
from genrewatch_trainer.data.store import Store
with hardware(precision="float32", every_device=True):
    assert n_devices() == 2, n_devices()
    fit(experiment(Store.load(Path(sys.argv[1])), replace(TINY_RECIPE, batch=7)), Path(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_batch_is_spread_over_two_devices_though_it_is_odd(backend: str, shared_store: Store, tmp_path: Path) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-c", FIT_ON_TWO, str(shared_store.path), str(tmp_path / "run")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["metrics"]["valid"]["clip_accuracy_mean"] > 0.9
    assert record["epochs_done"] == TINY_RECIPE.epochs


def test_a_backend_without_data_parallelism_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    from genrewatch.contract.errors import ConfigError
    from genrewatch_trainer.training.hardware import hardware

    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with (
        pytest.raises(ConfigError, match="--devices: found all on backend torch, expected tensorflow or jax"),
        hardware(precision="float32", every_device=True),
    ):
        pass


def test_a_run_in_mixed_precision_is_read_as_float32(shared_store: Store, tmp_path: Path) -> None:
    import keras

    from genrewatch_trainer.training.fit import fit
    from genrewatch_trainer.training.hardware import hardware

    recipe = replace(TINY_RECIPE, epochs=3)
    with hardware(precision="mixed", every_device=False):
        run = fit(experiment(shared_store, recipe), tmp_path / "run")
    assert keras.config.dtype_policy().name == "float32"
    assert run.record.versions["precision"] == "mixed_bfloat16"
    model = run.model()
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    segments = np.random.default_rng(1).random((4, 16, 8, 1), np.float32)
    rounded = np.asarray(keras.models.load_model(run.weights, compile=False).predict(segments, verbose=0))
    answer = np.asarray(model.predict(segments, verbose=0))
    assert answer.dtype == np.float32
    assert 0 < np.abs(answer - rounded).max() < 0.1


@pytest.mark.slow
def test_a_seed_gives_the_same_weights_twice(shared_store: Store, tmp_path: Path) -> None:
    from genrewatch_trainer.training.fit import fit

    recipe = replace(TINY_RECIPE, epochs=2, head_dropout_percent=20)
    runs = [fit(experiment(shared_store, recipe, seed=5), tmp_path / name) for name in ("one", "two")]
    for one, other in zip(*(run.model().get_weights() for run in runs), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_feed_is_timed_without_a_network(shared_store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    found = feed_speed(shared_store, TINY_RECIPE, batches=25)
    assert found.segments_per_s == pytest.approx(8 * found.batches_per_s)  # 40 clips in five batches
    assert found.batch_ms == pytest.approx(1000 / found.batches_per_s)
    assert main(["benchmark-feed", str(shared_store.path)]) == 2
    assert "front_end: is not that of recipe compact" in capsys.readouterr().err

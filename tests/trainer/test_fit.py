import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tests.lab import TINY_RECIPE, experiment

from genrewatch.contract.errors import ConfigError, DataError
from genrewatch.contract.front_end import COMPACT
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.epoch_log import read_history, write_history
from genrewatch_trainer.training.recipes import Augmentation, recipe_named

ROOT = Path(__file__).parents[2]
FIT = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.lab import TINY_RECIPE, experiment
from genrewatch_trainer.training.fit import fit
from genrewatch_trainer.data.store import Store
recipe = replace(TINY_RECIPE, epochs=int(sys.argv[3]))
fit(experiment(Store.load(Path(sys.argv[1])), recipe), Path(sys.argv[2]))
"""


def start_fit(store: Path, run: Path, epochs: int, backend: str = "tensorflow") -> "subprocess.Popen[bytes]":
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", FIT, str(store), str(run), str(epochs)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)


def test_fit_learns_what_is_trivial_and_the_run_needs_no_store(trained: tuple[Store, Run], tmp_path: Path) -> None:
    from genrewatch_trainer.evaluation.evaluate import evaluate

    run = Run.load(Path(shutil.copytree(trained[1].path, tmp_path / "elsewhere")))
    rows = read_history(run.path)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert max(row["val_accuracy"] for row in rows) > 0.9
    figures = evaluate(run.path, store=None, split=("fixed", "test"))
    assert figures.metrics["clip_accuracy_mean"] > 0.9
    assert figures.trained_on == 0
    assert (run.path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert run.representative().shape == (256, 16, 8)


def test_a_run_holds_out_every_clip_it_was_not_trained_on_unchanged(trained: tuple[Store, Run]) -> None:
    store, run = trained
    index_of = {clip.name: i for i, clip in enumerate(store.index.clips)}
    for part in ("valid", "test"):
        held_out = run.held_out(part)
        assert len(held_out) == 10
        for clip in held_out:
            assert run.split[clip.name] == part
            np.testing.assert_array_equal(clip.power_db, store.clip(index_of[clip.name]))
    with pytest.raises(DataError, match="found train, expected one held out: test, valid"):
        run.held_out("train")


def test_the_network_outputs_logits(trained: tuple[Store, Run]) -> None:
    run = trained[1]
    out = np.asarray(run.model().predict(np.zeros((1, 16, 8, 1), np.float32), verbose=0))
    assert out.shape == (1, 2)
    assert run.model().layers[-1].activation.__name__ == "linear"


def test_training_on_train_and_valid_looks_at_nothing_held_out(shared_store: Store, tmp_path: Path) -> None:
    from genrewatch_trainer.training.fit import fit

    recipe = replace(TINY_RECIPE, epochs=2)
    run = fit(experiment(shared_store, recipe, train_parts=("train", "valid")), tmp_path / "run")
    assert run.record.validation_part is None
    assert set(read_history(run.path)[0]) == {"epoch", "loss", "accuracy", "seconds"}
    assert run.weights.name == "last.keras"
    assert {clip.part for clip in run.held_out("test")} == {"test"}


def test_a_finished_run_is_not_trained_again_and_other_settings_are_refused(trained: tuple[Store, Run]) -> None:
    from genrewatch_trainer.training.fit import fit

    store, run = trained
    written = (run.path / "last.keras").stat().st_mtime_ns
    again = fit(experiment(store), run.path)
    assert again.record.epochs_done == 6
    assert (run.path / "last.keras").stat().st_mtime_ns == written
    with pytest.raises(ConfigError, match="holds a run with another seed"):
        fit(experiment(store, seed=1), run.path)


def test_a_run_is_not_resumed_with_another_split_nor_with_weights_of_unknown_origin(
    trained: tuple[Store, Run], tmp_path: Path
) -> None:
    from genrewatch_trainer.training.fit import fit

    store, run = trained[0], Run.load(Path(shutil.copytree(trained[1].path, tmp_path / "run")))
    swapped = {"train": "test", "test": "train", "valid": "valid"}
    parts = {name: swapped[part] for name, part in store.index.splits["fixed"].items()}
    other = Store(store.path, replace(store.index, splits={"fixed": parts}), store._power_db)
    with pytest.raises(ConfigError, match="another split of the clips"):
        fit(experiment(other), run.path)
    (run.path / "run.json").unlink()
    with pytest.raises(ConfigError, match=r"of another run but no run\.json"):
        fit(experiment(store), run.path)


@pytest.mark.slow
def test_a_fit_that_is_resumed_ends_with_the_weights_of_one_that_was_not(
    shared_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrewatch_trainer.training import fit as fitting

    how = Augmentation(equalise_db=3, mixup_alpha=0.2)
    recipe = replace(TINY_RECIPE, schedule="cosine", weight_decay=0.01, head_dropout_percent=20, augmentation=how)
    recipe = replace(recipe, epochs=4)
    of = experiment(shared_store, recipe, seed=3)
    whole = fitting.fit(of, tmp_path / "whole")

    def power_cut(run: Run, model: object, rows: list[dict[str, float]], feed: object) -> None:
        if len(rows) == 3:  # the best weights and the history are written, the last weights are not
            write_history(run.path, rows)
            raise KeyboardInterrupt
        save_epoch(run, model, rows, feed)

    save_epoch = fitting.save_epoch
    monkeypatch.setattr(fitting, "save_epoch", power_cut)
    with pytest.raises(KeyboardInterrupt):
        fitting.fit(of, tmp_path / "cut")
    monkeypatch.setattr(fitting, "save_epoch", save_epoch)
    resumed = fitting.fit(of, tmp_path / "cut")
    assert [row["epoch"] for row in read_history(resumed.path)] == [1, 2, 3, 4]
    for one, other in zip(whole.model().get_weights(), resumed.model().get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_a_fit_killed_at_any_time_resumes_to_the_same_number_of_epochs(shared_store: Store, tmp_path: Path) -> None:
    run, epochs = tmp_path / "run", 10
    process = start_fit(shared_store.path, run, epochs)
    deadline = time.monotonic() + 60
    while len(read_history(run)) < 3 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    before = len(read_history(run))
    assert 3 <= before < epochs
    process = start_fit(shared_store.path, run, epochs)
    assert process.communicate()[1] is not None
    assert process.returncode == 0
    assert [row["epoch"] for row in read_history(run)] == list(range(1, epochs + 1))
    assert Run.load(run).record.epochs_done == epochs
    assert not list(run.glob(".*"))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_fit_works_on_another_backend(backend: str, shared_store: Store, tmp_path: Path) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    process = start_fit(shared_store.path, tmp_path / "run", 4, backend)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 0, error.decode()
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["versions"]["backend"] == backend
    assert record["metrics"]["valid"]["clip_accuracy_mean"] > 0.9


def test_a_store_of_another_front_end_is_refused(shared_store: Store, tmp_path: Path) -> None:
    from genrewatch_trainer.training.fit import fit

    with pytest.raises(DataError, match="front_end: is not that of recipe compact"):
        fit(experiment(shared_store, recipe_named("compact")), tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("name", ["paper", "compact"])
def test_the_recipes_networks_take_their_segments_and_fit_the_device(name: str) -> None:
    from genrewatch_trainer.training.network import build

    recipe = recipe_named(name)
    model = build(recipe, 10)
    assert model.input_shape == (None, recipe.front_end.segment_frames, 128, 1)
    assert model.output_shape == (None, 10)
    if name == "compact":
        assert recipe.front_end == COMPACT
        assert model.count_params() < 400_000

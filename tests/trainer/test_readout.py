"""A genre head by regression on what a taught network sees, folded into an ordinary run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.contract.errors import DataError
from tests.trainer.conftest import TINY, TINY_RECIPE
from tests.trainer.test_distil import write_targets
from trainer.fit import More, fit
from trainer.readout import Lesson, fit_readout, head
from trainer.run import Run
from trainer.store import Store, new_store

TAUGHT = replace(TINY_RECIPE, steps_per_epoch=5, teach_epochs=6, epochs=1, taught_percent=50, average_momentum=0.5)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Run]:
    from tests.trainer.conftest import write_store

    folder = tmp_path_factory.mktemp("taught")
    store = write_store(folder / "store")
    more = More(targets=(write_targets(folder / "targets"),))
    return store, fit(store, TAUGHT, folder / "run", scheme="fixed", train_parts=("train",), seed=0, more=more)


@pytest.fixture
def talk(tmp_path: Path) -> Store:
    """A store of a third label, part of which is held back."""
    split = {f"talk.{i}": "train" if i < 4 else "test" for i in range(6)}
    with new_store(tmp_path / "talk", TINY, provenance="synthetic", splits={"fixed": split}) as writer:
        for name in split:
            writer.add(np.full((20, 8), -20, np.float32), name=name, label="not_music")
    return Store.load(tmp_path / "talk")


def test_the_head_is_the_regression_with_its_scaling_folded_in() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2], 200)
    centres = np.array([[100, 0.001, 5], [120, 0.002, 5], [100, 0.003, 5]])
    features = (centres[labels] + rng.normal(size=(600, 3)) * [2, 0.0001, 0]).astype(np.float32)
    lesson = Lesson(features=features, labels=labels, weights=np.ones(600))
    weights, offsets = head(lesson, 3, 1.0)
    assert weights.shape == (3, 3)
    assert ((features @ weights + offsets).argmax(axis=1) == labels).mean() > 0.99
    none, _ = head(replace(lesson, weights=np.where(labels == 2, 1e-9, 1.0)), 3, 1.0)
    assert not np.allclose(none, weights), "weights of segments count"


def test_a_run_of_three_labels_comes_of_a_taught_one_and_is_like_any_other(
    taught: tuple[Store, Run], talk: Store, tmp_path: Path
) -> None:
    store, before = taught
    run = fit_readout(
        before, store, tmp_path / "run", scheme="fixed", train_parts=("train",), strength=1.0, also=((talk, 0.5),)
    )
    assert run.finished
    assert run.labels == ("high", "low", "not_music")
    assert run.record.started_from == before.path.name
    assert run.record.metrics["valid"]["clip_accuracy_mean"] == 1.0
    old, new = before.whole_model(), run.model()
    for layer in new.layers:
        if layer.name.startswith("block") and layer.get_weights():
            for one, other in zip(layer.get_weights(), old.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(one, other)
    picture = np.full((1, 16, 8, 1), 60 / 80 + 0.25, np.float32)
    assert new.predict(picture, verbose=0).argmax() == 2
    again = fit_readout(
        before, store, run.path, scheme="fixed", train_parts=("train",), strength=1.0, also=((talk, 0.5),)
    )
    assert again.record == run.record
    final = fit_readout(
        before,
        store,
        tmp_path / "final",
        scheme="fixed",
        train_parts=("train", "valid"),
        strength=1.0,
        also=((talk, 0.5),),
    )
    assert final.record.validation_part is None
    assert final.recipe == run.recipe, "one can calibrate the other"
    assert final.model().predict(picture, verbose=0).argmax() == 2


def test_a_label_without_clips_is_refused(taught: tuple[Store, Run], tmp_path: Path) -> None:
    store, before = taught
    with pytest.raises(DataError, match="three or more"):
        fit_readout(before, store, tmp_path / "run", scheme="fixed", train_parts=("train",), strength=1.0)

"""A genre head by regression on what a taught network sees, folded into an ordinary run."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.trainer.conftest import TINY, TINY_RECIPE
from tests.trainer.test_distil import write_targets

from genrewatch.contract.errors import DataError
from genrewatch_trainer.data.store import Store, new_store
from genrewatch_trainer.distillation.opinions import Opinions, read_table
from genrewatch_trainer.distillation.readout import Lesson, fit_readout, head, recipe_of, regression
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.fit import More, feed_of, fit

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
    lesson = Lesson(features=features, shares=np.eye(3)[labels], weights=np.ones(600), clips=np.arange(600))
    weights, offsets = head(lesson, 1.0)
    assert weights.shape == (3, 3)
    assert ((features @ weights + offsets).argmax(axis=1) == labels).mean() > 0.99
    none, _ = head(replace(lesson, weights=np.where(labels == 2, 1e-9, 1.0)), 1.0)
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


def test_with_hard_labels_the_regression_is_scikit_learns(rng: np.random.Generator) -> None:
    labels = np.repeat([0, 1, 2], 40)
    x = rng.normal(size=(120, 5)) + labels[:, None] * [1, 0, -1, 0.5, 0]
    x -= x.mean(axis=0)
    weights = rng.uniform(0.1, 2, 120)
    found, offsets = regression(x, np.eye(3)[labels], weights, 0.3)
    other = LogisticRegression(C=0.3, max_iter=2000, tol=1e-8).fit(x, labels, sample_weight=weights)
    np.testing.assert_allclose(found, other.coef_.T, atol=2e-3)
    np.testing.assert_allclose(offsets - offsets.mean(), other.intercept_ - other.intercept_.mean(), atol=2e-3)


def test_pooling_by_band_keeps_what_lies_where(taught: tuple[Store, Run], talk: Store, tmp_path: Path) -> None:
    store, before = taught
    run = fit_readout(
        before,
        store,
        tmp_path / "run",
        scheme="fixed",
        train_parts=("train",),
        strength=1.0,
        also=((talk, 0.5),),
        pooling="bands",
    )
    assert run.recipe.head == "bands"
    bands = TINY.n_mels // 2  # one pooling by 2
    assert run.model().get_layer("logits").get_weights()[0].shape == (bands * TINY_RECIPE.blocks[0].filters, 3)
    assert run.record.metrics["valid"]["clip_accuracy_mean"] == 1.0


def test_opinions_soften_labels_by_what_was_learned_of_other_artists(
    taught: tuple[Store, Run], talk: Store, tmp_path: Path
) -> None:
    store, before = taught
    names = [clip.name for clip in store.index.clips]
    heard = np.array([[5.0 * name.startswith("low"), 1.0] for name in names])
    heard[names.index("low.00")] = [0, 1]  # this one sounds high
    np.savez(tmp_path / "table.npz", name=np.repeat(names, 2), values=np.repeat(heard, 2, axis=0))
    opinions = Opinions(tables=(read_table(tmp_path / "table.npz"),), share=0.5)
    also = ((talk, 0.5),)
    feed = feed_of(store, recipe_of(before), before.split, "fixed", ("train",), 0, More(also=also))
    shares = opinions.shares(feed)
    assert len(shares) == 20, "the training clips alone"
    high, low = feed.labels.index("high"), feed.labels.index("low")
    np.testing.assert_allclose([share.sum() for share in shares.values()], 1)
    assert shares["low.01"][low] > 0.85
    assert 0.3 < shares["low.00"][high] < 0.5 < shares["low.00"][low] < 0.7
    run = fit_readout(
        before,
        store,
        tmp_path / "run",
        scheme="fixed",
        train_parts=("train",),
        strength=1.0,
        also=also,
        opinions=opinions,
    )
    assert run.record.metrics["opinions"] == ["table.npz"]
    assert run.record.metrics["valid"]["clip_accuracy_mean"] == 1.0


def test_tables_label_crops_that_nobody_has_labelled(taught: tuple[Store, Run], talk: Store, tmp_path: Path) -> None:
    store, before = taught
    names = [clip.name for clip in store.index.clips]
    low = np.array([float(name.startswith("low")) for name in names])
    np.savez(tmp_path / "values.npz", name=names, values=np.stack([low, np.full(len(low), 5.0)], axis=1))
    np.savez(tmp_path / "tags.npz", name=names, tags=1 / (1 + np.exp(-np.stack([low * 0, low - 0.5], axis=1))))
    crops, fewer = write_targets(tmp_path / "crops"), write_targets(tmp_path / "fewer", 50, values=(0.0, -0.5))
    fewer.target[:, 2] += fewer.target[:, 0]  # the last values are the logits of the tags
    tables = read_table(tmp_path / "values.npz", (crops,)), read_table(tmp_path / "tags.npz", (fewer,))
    opinions = Opinions(tables=tables, share=0.5, crops_share=100.0)
    also = ((talk, 0.5),)
    feed = feed_of(store, recipe_of(before), before.split, "fixed", ("train",), 0, More(also=also))
    assert [len(some) for some in opinions.crops] == [50], "the same crops once, as many as both have"
    shares = opinions.crop_shares(feed)
    truth = np.array(["low" if i % 2 else "high" for i in range(50)])
    assert shares.sum(axis=1) == pytest.approx(1)
    assert (np.array(feed.labels)[shares.argmax(axis=1)] == truth).all()
    settings = {"scheme": "fixed", "train_parts": ("train",), "strength": 1.0, "also": also}
    run = fit_readout(before, store, tmp_path / "run", opinions=opinions, folds=4, **settings)  # type: ignore[arg-type]
    assert (run.record.metrics["opinion_crops"], run.record.metrics["crops_share"]) == (50, 100.0)
    assert run.record.metrics["valid"]["clip_accuracy_mean"] == 1.0
    assert run.record.metrics["across_artists"]["clip_accuracy_mean"] == 1.0
    crops.target[:, 0] = 1 - crops.target[:, 0]
    wrong = Opinions(tables=tables[:1], share=0.5, crops_share=100.0)
    run = fit_readout(before, store, tmp_path / "wrong", opinions=wrong, **settings)  # type: ignore[arg-type]
    assert run.record.metrics["valid"]["clip_accuracy_mean"] == 0.0, "crops count as much as they weigh"


def test_crops_that_a_table_cannot_be_asked_about_are_refused(
    taught: tuple[Store, Run], talk: Store, tmp_path: Path
) -> None:
    store, before = taught
    crops = write_targets(tmp_path / "crops", values=())
    names = [clip.name for clip in store.index.clips]
    np.savez(tmp_path / "table.npz", name=names, values=np.random.default_rng(1).normal(size=(len(names), 2)))
    settings = {"scheme": "fixed", "train_parts": ("train",), "strength": 1.0, "also": ((talk, 0.5),)}
    opinions = Opinions(tables=(read_table(tmp_path / "table.npz", (crops,)),), share=0.5, crops_share=1.0)
    with pytest.raises(DataError, match=r"crops: 1 values a crop, expected 2 of table\.npz"):
        fit_readout(before, store, tmp_path / "run", opinions=opinions, **settings)  # type: ignore[arg-type]
    crops.index = replace(crops.index, front_end=replace(TINY, fmax=3000))
    with pytest.raises(DataError, match="another front end"):
        fit_readout(before, store, tmp_path / "run", opinions=opinions, **settings)  # type: ignore[arg-type]


def test_across_artists_no_head_has_learned_from_the_artist_it_judges(
    taught: tuple[Store, Run], talk: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from genrewatch_trainer.distillation import readout

    store, before = taught
    learned: list[set[int]] = []
    plain = readout.head

    def head(lesson: Lesson, strength: float) -> object:
        learned.append(set(lesson.clips[lesson.clips >= 0].tolist()))
        first = lesson.clips >= 0
        assert lesson.weights[~first].sum() == pytest.approx(0.5 * first.sum()), "other stores keep their share"
        return plain(lesson, strength)

    monkeypatch.setattr(readout, "head", head)
    settings = {"scheme": "fixed", "train_parts": ("train",), "strength": 1.0, "also": ((talk, 0.5),)}
    run = fit_readout(before, store, tmp_path / "run", folds=4, **settings)  # type: ignore[arg-type]
    *folds, everything = learned
    assert len(folds) == 4
    assert all(fold < everything for fold in folds)
    assert sum(len(everything - fold) for fold in folds) == len(everything), "each clip is kept out once"
    figures = run.record.metrics["across_artists"]
    assert (figures["n_clips"], figures["clip_accuracy_mean"]) == (20, 1.0)
    with (run.path / "across_artists.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert sorted(row["name"] for row in rows) == sorted(store.index.clips[i].name for i in everything)
    assert all(row["named"] == row["label"] and float(row[row["label"]]) > 0.5 for row in rows)
    with pytest.raises(DataError, match="20 artists to learn from, expected at least 21"):
        fit_readout(before, store, tmp_path / "more", folds=21, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"name": ["a"]}, "other arrays"),
        ({"name": ["a"], "values": [[1.0], [2.0]]}, "other arrays"),
        ({"name": ["a"], "values": [[np.nan]]}, "other arrays"),
        ({"name": ["a"], "values": [["x"]]}, "other arrays"),
    ],
)
def test_a_table_that_is_none_is_refused(arrays: dict[str, list[object]], words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "table.npz", **arrays)
    with pytest.raises(DataError, match=words):
        read_table(tmp_path / "table.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "text.npz")


def test_a_label_without_clips_is_refused(taught: tuple[Store, Run], tmp_path: Path) -> None:
    store, before = taught
    with pytest.raises(DataError, match="three or more"):
        fit_readout(before, store, tmp_path / "run", scheme="fixed", train_parts=("train",), strength=1.0)

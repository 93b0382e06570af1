"""A genre head by regression on the features of a distilled network, folded into an ordinary run."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.lab import TINY, TINY_RECIPE, write_targets

from genrewatch.contract.errors import DataError
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.feature_table import read_table
from genrewatch_trainer.distillation.features import LabelledFeatures
from genrewatch_trainer.distillation.readout import fit_readout, readout_of
from genrewatch_trainer.distillation.regression import fit_head, regression
from genrewatch_trainer.distillation.soft_labels import SoftLabels
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.experiment import Experiment

ALSO = 0.5  # share of the extra store


def readout_on(distilled: tuple[Store, Run], talk: Store, **changes: Any) -> Experiment:
    store, run = distilled
    settings: dict[str, Any] = {"scheme": "fixed", "train_parts": ("train",), "extra_stores": ((talk, ALSO),)}
    return readout_of(run, store, **(settings | changes))


def test_the_head_is_the_regression_with_its_scaling_folded_in() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2], 200)
    centres = np.array([[100, 0.001, 5], [120, 0.002, 5], [100, 0.003, 5]])
    features = (centres[labels] + rng.normal(size=(600, 3)) * [2, 0.0001, 0]).astype(np.float32)
    data = LabelledFeatures(
        features=features, soft_labels=np.eye(3)[labels], weights=np.ones(600), clips=np.arange(600)
    )
    weights, offsets = fit_head(data, 1.0)
    assert weights.shape == (3, 3)
    assert ((features @ weights + offsets).argmax(axis=1) == labels).mean() > 0.99
    none, _ = fit_head(replace(data, weights=np.where(labels == 2, 1e-9, 1.0)), 1.0)
    assert not np.allclose(none, weights), "weights of segments count"


def test_a_readout_keeps_the_layers_of_the_distilled_run_and_is_a_run_like_any_other(
    distilled: tuple[Store, Run], readout: Run, talk: Store, tmp_path: Path
) -> None:
    before, run = distilled[1], readout
    assert run.finished
    assert run.labels == ("high", "low", "not_music")
    assert run.record.started_from == before.path.name
    assert run.record.metrics["valid"]["clip_accuracy_mean"] == 1.0
    old, new = before.whole_model(), run.model()
    for layer in new.layers:
        if layer.name.startswith("block") and layer.get_weights():
            for one, other in zip(layer.get_weights(), old.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(one, other)
    segment = np.full((1, 16, 8, 1), 60 / 80 + 0.25, np.float32)
    assert new.predict(segment, verbose=0).argmax() == 2
    again = fit_readout(readout_on(distilled, talk), run.path, strength=1.0)
    assert again.record == run.record
    everything = readout_on(distilled, talk, train_parts=("train", "valid"))
    final = fit_readout(everything, tmp_path / "final", strength=1.0)
    assert final.record.validation_part is None
    assert final.recipe == run.recipe, "one can calibrate the other"
    assert final.model().predict(segment, verbose=0).argmax() == 2


def test_with_hard_labels_the_regression_is_scikit_learns(rng: np.random.Generator) -> None:
    labels = np.repeat([0, 1, 2], 40)
    x = rng.normal(size=(120, 5)) + labels[:, None] * [1, 0, -1, 0.5, 0]
    x -= x.mean(axis=0)
    weights = rng.uniform(0.1, 2, 120)
    found, offsets = regression(x, np.eye(3)[labels], weights, 0.3)
    other = LogisticRegression(C=0.3, max_iter=2000, tol=1e-8).fit(x, labels, sample_weight=weights)
    np.testing.assert_allclose(found, other.coef_.T, atol=2e-3)
    np.testing.assert_allclose(offsets - offsets.mean(), other.intercept_ - other.intercept_.mean(), atol=2e-3)


def test_pooling_by_band_keeps_what_lies_where(distilled: tuple[Store, Run], talk: Store, tmp_path: Path) -> None:
    run = fit_readout(readout_on(distilled, talk, pooling="bands"), tmp_path / "run", strength=1.0)
    assert run.recipe.head == "bands"
    bands = TINY.n_mels // 2  # one pooling by 2
    assert run.model().get_layer("logits").get_weights()[0].shape == (bands * TINY_RECIPE.blocks[0].filters, 3)
    assert run.record.metrics["valid"]["clip_accuracy_mean"] == 1.0


def test_soft_labels_come_from_clips_by_other_artists(
    distilled: tuple[Store, Run], talk: Store, tmp_path: Path
) -> None:
    store = distilled[0]
    names = [clip.name for clip in store.index.clips]
    features = np.array([[5.0 * name.startswith("low"), 1.0] for name in names])
    features[names.index("low.00")] = [0, 1]  # this one sounds high
    np.savez(tmp_path / "table.npz", name=np.repeat(names, 2), values=np.repeat(features, 2, axis=0))
    soft_labels = SoftLabels(tables=(read_table(tmp_path / "table.npz"),), share=0.5)
    of = readout_on(distilled, talk)
    feed = of.feed
    labels = soft_labels.of_clips(feed)
    assert len(labels) == 20, "the training clips only"
    high, low = feed.labels.index("high"), feed.labels.index("low")
    np.testing.assert_allclose([label.sum() for label in labels.values()], 1)
    assert labels["low.01"][low] > 0.85
    assert 0.3 < labels["low.00"][high] < 0.5 < labels["low.00"][low] < 0.7
    run = fit_readout(of, tmp_path / "run", strength=1.0, soft_labels=soft_labels)
    assert run.record.metrics["opinions"] == ["table.npz"]
    assert run.record.metrics["valid"]["clip_accuracy_mean"] == 1.0


@pytest.mark.slow
def test_tables_label_unlabelled_crops(distilled: tuple[Store, Run], talk: Store, tmp_path: Path) -> None:
    store = distilled[0]
    names = [clip.name for clip in store.index.clips]
    low = np.array([float(name.startswith("low")) for name in names])
    np.savez(tmp_path / "values.npz", name=names, values=np.stack([low, np.full(len(low), 5.0)], axis=1))
    np.savez(tmp_path / "tags.npz", name=names, tags=1 / (1 + np.exp(-np.stack([low * 0, low - 0.5], axis=1))))
    crops, fewer = write_targets(tmp_path / "crops"), write_targets(tmp_path / "fewer", 50, values=(0.0, -0.5))
    fewer.target[:, 2] += fewer.target[:, 0]  # the last values are the logits of the tags
    tables = read_table(tmp_path / "values.npz", (crops,)), read_table(tmp_path / "tags.npz", (fewer,))
    soft_labels = SoftLabels(tables=tables, share=0.5, crops_share=100.0)
    of = readout_on(distilled, talk)
    feed = of.feed
    assert [len(some) for some in soft_labels.crops] == [50], "the same crops once, as many as both have"
    posteriors = soft_labels.of_crops(feed)
    truth = np.array(["low" if i % 2 else "high" for i in range(50)])
    assert posteriors.sum(axis=1) == pytest.approx(1)
    assert (np.array(feed.labels)[posteriors.argmax(axis=1)] == truth).all()
    run = fit_readout(of, tmp_path / "run", strength=1.0, soft_labels=soft_labels, folds=4)
    assert (run.record.metrics["opinion_crops"], run.record.metrics["crops_share"]) == (50, 100.0)
    assert run.record.metrics["valid"]["clip_accuracy_mean"] == 1.0
    assert run.record.metrics["across_artists"]["clip_accuracy_mean"] == 1.0
    crops.target[:, 0] = 1 - crops.target[:, 0]
    wrong = SoftLabels(tables=tables[:1], share=0.5, crops_share=100.0)
    run = fit_readout(of, tmp_path / "wrong", strength=1.0, soft_labels=wrong)
    assert run.record.metrics["valid"]["clip_accuracy_mean"] == 0.0, "crops count as much as they weigh"


def test_crops_of_fewer_values_or_another_front_end_are_refused(
    distilled: tuple[Store, Run], talk: Store, tmp_path: Path
) -> None:
    store = distilled[0]
    crops = write_targets(tmp_path / "crops", values=())
    names = [clip.name for clip in store.index.clips]
    np.savez(tmp_path / "table.npz", name=names, values=np.random.default_rng(1).normal(size=(len(names), 2)))
    of = readout_on(distilled, talk)
    soft_labels = SoftLabels(tables=(read_table(tmp_path / "table.npz", (crops,)),), share=0.5, crops_share=1.0)
    with pytest.raises(DataError, match=r"crops: 1 values a crop, expected 2 of table\.npz"):
        fit_readout(of, tmp_path / "run", strength=1.0, soft_labels=soft_labels)
    crops.index = replace(crops.index, front_end=replace(TINY, fmax=3000))
    with pytest.raises(DataError, match="another front end"):
        fit_readout(of, tmp_path / "run", strength=1.0, soft_labels=soft_labels)


def test_across_artists_no_head_is_fitted_on_the_artist_it_classifies(
    distilled: tuple[Store, Run], talk: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from genrewatch_trainer.distillation import across_artists, readout

    store = distilled[0]
    fitted: list[set[int]] = []

    def recorded(data: LabelledFeatures, strength: float) -> object:
        first = data.clips >= 0
        fitted.append(set(data.clips[first].tolist()))
        assert data.weights[~first].sum() == pytest.approx(ALSO * first.sum()), "extra stores keep their share"
        return fit_head(data, strength)

    for module in (readout, across_artists):
        monkeypatch.setattr(module, "fit_head", recorded)
    of = readout_on(distilled, talk)
    run = fit_readout(of, tmp_path / "run", strength=1.0, folds=4)
    *folds, everything = fitted
    assert len(folds) == 4
    assert all(fold < everything for fold in folds)
    assert sum(len(everything - fold) for fold in folds) == len(everything), "each clip is kept out once"
    figures = run.record.metrics["across_artists"]
    assert (figures["n_clips"], figures["clip_accuracy_mean"]) == (20, 1.0)
    with (run.path / "across_artists.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert sorted(row["name"] for row in rows) == sorted(store.index.clips[i].name for i in everything)
    assert all(row["named"] == row["label"] and float(row[row["label"]]) > 0.5 for row in rows)
    with pytest.raises(DataError, match="20 artists to train on, expected at least 21"):
        fit_readout(of, tmp_path / "more", strength=1.0, folds=21)


@pytest.mark.parametrize(
    ("arrays", "error"),
    [
        ({"name": ["a"]}, "other arrays"),
        ({"name": ["a"], "values": [[1.0], [2.0]]}, "other arrays"),
        ({"name": ["a"], "values": [[np.nan]]}, "other arrays"),
        ({"name": ["a"], "values": [["x"]]}, "other arrays"),
    ],
)
def test_a_table_that_is_none_is_refused(arrays: dict[str, list[object]], error: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "table.npz", **arrays)
    with pytest.raises(DataError, match=error):
        read_table(tmp_path / "table.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "text.npz")


def test_a_label_without_clips_is_refused(distilled: tuple[Store, Run], talk: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="three or more"):
        fit_readout(readout_on(distilled, talk, extra_stores=()), tmp_path / "run", strength=1.0)

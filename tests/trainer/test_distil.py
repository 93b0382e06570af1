"""Two stages of training: a teacher's targets, then labels and targets together; and sweeps over such recipes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.lab import DISTILLED, TINY_RECIPE, experiment, write_store, write_targets

from genrewatch.contract.errors import ConfigError, DataError
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.target_crops import TargetCrops
from genrewatch_trainer.distillation.targets import Targets
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.feed import ExtraClips, Feed
from genrewatch_trainer.training.recipes import Augmentation, ConvBlock, Recipe, changed
from genrewatch_trainer.training.sweep import load_spec, sweep


def mixed_feed(store: Store, targets: Targets, **changes: object) -> Feed:
    recipe = replace(DISTILLED, **changes)  # type: ignore[arg-type]
    crops = TargetCrops.of(targets)
    return Feed(store=store, clips=tuple(range(20)), recipe=recipe, seed=0, target_crops=crops)


def test_a_batch_holds_labelled_rows_and_rows_with_targets(shared_store: Store, talk: Store, targets: Targets) -> None:
    plain = mixed_feed(shared_store, targets, augmentation=Augmentation(mixup_alpha=0.3))
    feed = replace(plain, extra=(ExtraClips(store=talk, clips=(0, 1, 2, 3), share=0.5),))
    assert feed.labels == ("high", "low", "not_music")
    early, late = list(feed.epoch(0)), list(feed.epoch(DISTILLED.teach_epochs))
    assert len(early) == len(late) == 5
    for batch in early:
        assert batch.targets is not None
        assert batch.log_mel.shape == (8, 16, 8, 1)
        assert batch.soft_labels.shape == (8, 3)
        assert batch.targets.shape == (8, 2)
        assert not batch.soft_labels.any()
        assert not batch.labelled.any()
        np.testing.assert_allclose(np.abs(batch.targets[:, 0]), 1, atol=0.1)
        assert not batch.targets[:, 1].any(), "a value without spread is 0"
    labelled = np.concatenate([batch.labelled for batch in late])
    soft_labels = np.concatenate([batch.soft_labels for batch in late])
    assert labelled.sum() == 20
    np.testing.assert_allclose(soft_labels.sum(axis=1), labelled, rtol=1e-5)
    assert soft_labels[:, 2].any(), "the extra store is drawn from"


def test_a_crop_keeps_its_own_target(shared_store: Store, targets: Targets) -> None:
    for batch in mixed_feed(shared_store, targets).epoch(0):
        assert batch.targets is not None
        x = batch.log_mel
        is_low = x[:, :, :4, 0].mean(axis=(1, 2)) > x[:, :, 4:, 0].mean(axis=(1, 2))
        np.testing.assert_array_equal(is_low, batch.targets[:, 0] > 0)


@pytest.mark.parametrize("rows", ["both", "targets", "labelled"])
def test_the_loss_is_cross_entropy_on_labelled_rows_plus_squared_error_on_the_others(
    rows: str, shared_store: Store, targets: Targets
) -> None:
    """The formula, written out per row and divided by all rows, gives the loss and the gradients of the two outputs."""
    import tensorflow as tf

    from genrewatch_trainer.training.network import LOGITS, VALUES, build, compile_for_training, keras_batch

    feed = mixed_feed(shared_store, targets, label_smoothing=0.1, target_weight=0.7)
    batch = next(feed.epoch(0 if rows == "targets" else DISTILLED.teach_epochs))
    if rows == "labelled":
        batch = replace(
            batch, log_mel=batch.log_mel[:4], soft_labels=batch.soft_labels[:4], labelled=batch.labelled[:4]
        )
        batch = replace(batch, targets=np.zeros((4, 2), np.float32))
    model = build(feed.recipe, 2, 2)
    compile_for_training(model, feed.recipe, feed.n_batches)
    x, y, sample_weight = keras_batch(batch)
    with tf.GradientTape(persistent=True) as tape:
        output = model(x, training=True)
        loss = model.compute_loss(x=x, y=y, y_pred=output, sample_weight=sample_weight)
        smoothed = batch.soft_labels * 0.9 + 0.1 / 2
        cross_entropy = -tf.reduce_sum(smoothed * tf.nn.log_softmax(output[LOGITS]), axis=1)
        error = tf.reduce_mean((output[VALUES] - batch.targets) ** 2, axis=1)
        by_row = batch.labelled * cross_entropy + 0.7 * (1 - batch.labelled) * error
        expected = tf.reduce_mean(by_row)
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)
    zeros = tf.UnconnectedGradients.ZERO
    variables = model.trainable_variables
    found, wanted = (tape.gradient(of, variables, unconnected_gradients=zeros) for of in (loss, expected))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_run_with_one_joined_output_is_read_and_resumed(tmp_path: Path) -> None:
    """Runs up to version 0.2 have one output, logits and values concatenated."""
    import keras

    from genrewatch_trainer.training.network import LOGITS, VALUES, build, compile_for_training, logits_of

    new = build(DISTILLED, 3, 2)
    joined = keras.layers.Concatenate(name="answer")([new.output[LOGITS], new.output[VALUES]])
    old = keras.Model(new.input, joined, name=new.name)
    compile_for_training(old, DISTILLED, 5)
    x = np.random.default_rng(1).random((8, 16, 8, 1), np.float32)
    old.fit(x, np.zeros((8, 5), np.float32), verbose=0)
    old.save(tmp_path / "last.keras")
    expected = old.predict(x, verbose=0)
    loaded = keras.models.load_model(tmp_path / "last.keras", compile=False)
    np.testing.assert_allclose(logits_of(loaded).predict(x, verbose=0), expected[:, :3], atol=1e-6)
    resumed = build(DISTILLED, 3, 2)
    compile_for_training(resumed, DISTILLED, 5)
    resumed.optimizer.build(resumed.trainable_variables)
    resumed.load_weights(tmp_path / "last.keras")
    np.testing.assert_allclose(resumed.predict(x, verbose=0)[VALUES], expected[:, 3:], atol=1e-6)
    assert int(resumed.optimizer.iterations) == 1
    for one, other in zip(resumed.optimizer.variables, old.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_targets_of_two_teachers_for_the_same_crops_are_joined(tmp_path: Path) -> None:
    one, more = write_targets(tmp_path / "one"), write_targets(tmp_path / "more", seed=1, drawn=8)
    other = write_targets(tmp_path / "other", n_crops=20, values=())
    other_more = write_targets(tmp_path / "other-more", seed=1, drawn=8, values=())
    crops = TargetCrops.of(one, more, other, other_more)
    assert (crops.n_values, len(crops.power_db)) == (3, 80), "the crops that both stores have"
    np.testing.assert_array_equal(crops.power_db, np.concatenate([one.power_db[:20], more.power_db]))
    np.testing.assert_array_equal(crops.target[:, 0], crops.target[:, 2])
    assert TargetCrops.of(one, more).n_values == 2
    with pytest.raises(DataError, match=r"more: 2 values a crop, expected 2 \+ 1, as in"):
        TargetCrops.of(one, other, more)


def test_other_crops_under_the_same_names_are_refused(tmp_path: Path) -> None:
    one, other = write_targets(tmp_path / "one"), write_targets(tmp_path / "other", drawn=8)
    with pytest.raises(DataError, match="other: holds other crops"):
        TargetCrops.of(one, other)


def test_targets_are_learned_then_labels(distilled: tuple[Store, Run]) -> None:
    from genrewatch_trainer.training.epoch_log import read_history

    run = distilled[1]
    rows = read_history(run.path)
    assert run.finished
    assert len(rows) == DISTILLED.all_epochs
    assert rows[DISTILLED.teach_epochs - 1]["target_error"] < 0.5 * rows[0]["target_error"]
    assert (rows[0]["accuracy"], rows[-1]["accuracy"] > 0.9) == (0, True), "no labelled row at first"
    assert rows[-1]["val_clip_accuracy"] > 0.9
    assert run.labels == ("high", "low", "not_music")
    assert run.model().output_shape == (None, 3)
    assert run.record.also[0].n_clips == 4


@pytest.mark.slow
def test_a_distilled_run_that_is_killed_ends_as_one_that_was_not(
    distilled: tuple[Store, Run], talk: Store, targets: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrewatch_trainer.training import fit as module

    store, whole = distilled
    of = experiment(store, DISTILLED, extra_stores=((talk, 0.5),), targets=(targets,))
    save_epoch = module.save_epoch

    def killed(run: Run, model: object, rows: list[dict[str, float]], feed: Feed) -> None:
        save_epoch(run, model, rows, feed)
        if len(rows) == DISTILLED.teach_epochs + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        module.fit(of, tmp_path / "run")
    monkeypatch.setattr(module, "save_epoch", save_epoch)
    again = module.fit(of, tmp_path / "run")
    segment = np.stack([store.clip(0)[:16] / 80 + 1])[..., None]
    expected, found = (np.asarray(run.model(last=True)(segment)) for run in (whole, again))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_batch_norm_is_recalibrated_on_unaugmented_clips_for_evaluation_only(shared_store: Store) -> None:
    from genrewatch_trainer.training.averaging import evaluation_weights
    from genrewatch_trainer.training.network import build, compile_for_training

    recipe = replace(TINY_RECIPE, settle_batches=4)
    feed = Feed(store=shared_store, clips=tuple(range(20)), recipe=recipe, seed=0)
    model = build(recipe, 2)
    compile_for_training(model, recipe, feed.n_batches)
    before = model.get_weights()
    batches = list(feed.unaugmented())
    assert len(batches) == 4
    norm = model.get_layer("block1_norm")
    convolved = np.concatenate([np.asarray(model.get_layer("block1")(x)) for x in batches])
    with evaluation_weights(model, batches):
        np.testing.assert_allclose(np.asarray(norm.moving_mean), convolved.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-5)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_targets_are_required_by_a_recipe_of_distillation_and_refused_by_others(
    shared_store: Store, targets: Targets, tmp_path: Path
) -> None:
    from genrewatch_trainer.training.fit import fit

    def start(recipe: Recipe, **more: object) -> None:
        fit(experiment(shared_store, recipe, **more), tmp_path / "run")

    with pytest.raises(ConfigError, match="--targets: is missing, expected a target store, which recipe tiny needs"):
        start(DISTILLED)
    with pytest.raises(ConfigError, match=r"--targets: found 1 target store\(s\), expected none"):
        start(TINY_RECIPE, targets=(targets,))
    other = write_store(tmp_path / "other").parted("fixed", {"low.00": "test"})
    with pytest.raises(DataError, match="holds no clip to train on"):
        start(TINY_RECIPE, extra_stores=((other, 1.0),))
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_tunes_starts_with_the_whole_network_of_another_run(
    trained: tuple[Store, Run], talk: Store, tmp_path: Path
) -> None:
    from genrewatch_trainer.training.fit import fit

    store, earlier = trained
    frozen = replace(TINY_RECIPE, tunes=True, epochs=1, learning_rate=0.0, batch_norm_momentum=1.0)

    def tune(name: str, *, start: Run | None, extra: tuple[tuple[Store, float], ...] = (), **changes: object) -> Run:
        recipe = replace(frozen, **changes)  # type: ignore[arg-type]
        return fit(experiment(store, recipe, seed=1, start=start, extra_stores=extra), tmp_path / name)

    tuned = tune("frozen", start=earlier)
    for now, then in zip(tuned.model(last=True).get_weights(), earlier.model(last=True).get_weights(), strict=True):
        np.testing.assert_array_equal(now, then)
    with pytest.raises(ConfigError, match="--start-from: is missing, expected a readout"):
        tune("refused", start=None)
    with pytest.raises(ConfigError, match="run: head: found flatten, expected bands"):
        tune("refused", start=earlier, head="bands")
    with pytest.raises(ConfigError, match="run: labels: found high low, expected high low not_music"):
        tune("refused", start=earlier, extra=((talk, 0.5),))
    with pytest.raises(ConfigError, match="run: blocks: found"):
        tune("refused", start=earlier, blocks=(ConvBlock(filters=5),))
    assert not (tmp_path / "refused").exists()


def test_changes_of_a_recipe_are_named_by_dotted_keys() -> None:
    recipe = changed(TINY_RECIPE, {"augmentation.mixup_alpha": 0.5, "batch": 4})
    assert recipe == replace(TINY_RECIPE, batch=4, augmentation=Augmentation(mixup_alpha=0.5))
    with pytest.raises(ConfigError, match=r"augmentation\.mix: unknown key"):
        changed(TINY_RECIPE, {"augmentation.mix": 1})
    with pytest.raises(ConfigError, match=r"nothing\.at\.all"):
        changed(TINY_RECIPE, {"nothing.at.all": 1})


SPEC = """
recipe = "tiny"
split = "fixed"
seeds = [0, 1]
[[runs]]
name = "first"
[[runs]]
name = "second"
start_from = "first"
changes = { epochs = 1, "augmentation.mixup_alpha" = 0.2 }
"""


@pytest.mark.slow
def test_a_sweep_trains_what_is_missing_and_writes_the_table(
    shared_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genrewatch_trainer.training.recipes.RECIPES", {"tiny": replace(TINY_RECIPE, epochs=2)})
    (tmp_path / "spec.toml").write_text(SPEC)
    spec, out = load_spec(tmp_path / "spec.toml"), tmp_path / "sweep"
    rows = sweep(spec, shared_store, out, extra=(), targets=())
    assert [(row["name"], row["seeds"], row["epochs"]) for row in rows] == [("first", 2, 2), ("second", 2, 1)]
    assert sorted(path.name for path in out.iterdir()) == [
        "first-0", "first-1", "second-0", "second-1", "table.csv", "table.md",
    ]  # fmt: skip
    table = (out / "table.md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == ["| first", "| second"]
    before = (out / "second-0" / "last.keras").stat().st_mtime_ns
    (out / "second-1" / "run.json").unlink()
    for left in ("best.keras", "last.keras", "history.csv"):
        (out / "second-1" / left).unlink()
    assert sweep(spec, shared_store, out, extra=(), targets=())[1]["segment_accuracy"] == rows[1]["segment_accuracy"]
    assert (out / "second-0" / "last.keras").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (SPEC.replace('"first"\nch', '"third"\nch'), "runs.start_from: found third, expected a run before second"),
        (SPEC.replace('name = "second"', 'name = "first"'), "a name twice"),
        (SPEC.replace("epochs", "epoch"), "epoch: unknown key, did you mean epochs"),
        (SPEC.replace('"second"', '"a/b"'), "a name that a folder can have"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_it_starts(
    text: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genrewatch_trainer.training.recipes.RECIPES", {"tiny": TINY_RECIPE})
    (tmp_path / "spec.toml").write_text(text)
    with pytest.raises(ConfigError, match=error):
        load_spec(tmp_path / "spec.toml")


def test_the_sweeps_that_are_kept_here_can_be_read() -> None:
    for path in (Path(__file__).parents[2] / "trainer" / "genrewatch_trainer" / "sweeps").glob("*.toml"):
        assert load_spec(path).runs

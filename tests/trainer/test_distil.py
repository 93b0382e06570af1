"""Two stages of learning: a teacher's targets, then genres and targets together; and sweeps over such recipes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.trainer.conftest import TINY, TINY_RECIPE, low_or_high, write_store

from genrewatch.contract.errors import ConfigError, DataError
from genrewatch_trainer.data.store import Store, new_store
from genrewatch_trainer.distillation.crops import CropChanges
from genrewatch_trainer.distillation.targets import INDEX, VERSION, TargetIndex, Targets, chunk_path
from genrewatch_trainer.files import write_json
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.feed import Also, Feed, Taught
from genrewatch_trainer.training.recipes import Augmentation, Block, changed
from genrewatch_trainer.training.sweep import load_spec, sweep

DISTILLED = replace(
    TINY_RECIPE,
    steps_per_epoch=5,
    teach_epochs=8,
    epochs=6,
    teach_learning_rate=0.02,
    taught_percent=50,
    schedule="cosine",
    settle_batches=2,
    average_momentum=0.8,
)


def write_targets(
    path: Path, n_crops: int = 60, *, seed: int = 0, drawn: int = 7, values: tuple[float, ...] = (5.0,)
) -> Targets:
    """Crops of low and high sound; the target says which, and other values are the same for all."""
    rng = np.random.default_rng(drawn)
    labels = ["low" if i % 2 else "high" for i in range(n_crops)]
    pictures = [low_or_high(rng, label, TINY.segment_frames, TINY) for label in labels]
    target = np.array([[float(label == "low"), *values] for label in labels], np.float32)
    index = TargetIndex(
        version=VERSION,
        front_end=TINY,
        teacher="a table",
        songs=("a/b.wav",),
        changes=CropChanges(),
        n_crops=n_crops,
        crops_per_chunk=60,
        seed=seed,
    )
    path.mkdir(parents=True)
    write_json(path / INDEX, index)
    np.savez(chunk_path(path, 0), power_db=np.stack(pictures).astype(np.float16), target=target)
    return Targets.load(path)


@pytest.fixture
def targets(tmp_path: Path) -> Targets:
    return write_targets(tmp_path / "targets")


@pytest.fixture
def talk(tmp_path: Path, rng: np.random.Generator) -> Store:
    """A store of a third label."""
    split = {f"talk.{i}": "train" if i < 4 else "test" for i in range(6)}
    with new_store(tmp_path / "talk", TINY, provenance="synthetic", splits={"fixed": split}) as writer:
        for name in split:
            writer.add(np.full((20, 8), -20, np.float32), name=name, label="not_music")
    return Store.load(tmp_path / "talk")


def test_a_batch_holds_labelled_rows_and_taught_rows(store: Store, talk: Store, targets: Targets) -> None:
    taught = Taught.of(targets)
    recipe = replace(DISTILLED, augmentation=Augmentation(mixup_alpha=0.3))
    more = Also(store=talk, clips=(0, 1, 2, 3), share=0.5)
    feed = Feed(store=store, clips=tuple(range(20)), recipe=recipe, seed=0, also=(more,), taught=taught)
    assert feed.labels == ("high", "low", "not_music")
    early, late = list(feed.epoch(0)), list(feed.epoch(8))
    assert len(early) == len(late) == 5
    for x, y in early:
        assert x.shape == (8, 16, 8, 1)
        assert y.shape == (8, 3 + 2 + 1)
        assert not y[:, :3].any()
        assert y[:, -1].all()
    shares = np.concatenate([y for _, y in late])
    assert shares[:, -1].sum() == 20
    np.testing.assert_allclose(shares[:, :3].sum(axis=1), 1 - shares[:, -1], rtol=1e-5)
    assert shares[:, 2].any(), "the other store is drawn from"
    for _, y in early:
        np.testing.assert_allclose(np.abs(y[:, 3]), 1, atol=0.1)
        assert not y[:, 4].any(), "a value without spread is 0"


def test_a_taught_crop_keeps_its_own_target(store: Store, targets: Targets) -> None:
    feed = Feed(store=store, clips=(0,), recipe=DISTILLED, seed=0, taught=Taught.of(targets))
    for x, y in feed.epoch(0):
        is_low = x[:, :, :4, 0].mean(axis=(1, 2)) > x[:, :, 4:, 0].mean(axis=(1, 2))
        np.testing.assert_array_equal(is_low, y[:, 2] > 0)


def test_what_two_teachers_say_of_the_same_crops_stands_side_by_side(tmp_path: Path) -> None:
    one, more = write_targets(tmp_path / "one"), write_targets(tmp_path / "more", seed=1, drawn=8)
    other = write_targets(tmp_path / "other", n_crops=20, values=())
    other_more = write_targets(tmp_path / "other-more", seed=1, drawn=8, values=())
    taught = Taught.of(one, more, other, other_more)
    assert (taught.n_values, len(taught.power_db)) == (3, 80), "as far as both have answered"
    np.testing.assert_array_equal(taught.power_db, np.concatenate([one.power_db[:20], more.power_db]))
    np.testing.assert_array_equal(taught.target[:, 0], taught.target[:, 2])
    assert Taught.of(one, more).n_values == 2
    with pytest.raises(DataError, match=r"more: 2 values a crop, expected 2 \+ 1, as in"):
        Taught.of(one, other, more)


def test_other_crops_under_the_same_names_are_refused(tmp_path: Path) -> None:
    one, other = write_targets(tmp_path / "one"), write_targets(tmp_path / "other", drawn=8)
    with pytest.raises(DataError, match="other: holds other crops"):
        Taught.of(one, other)


def test_targets_are_learned_then_genres_and_a_killed_run_goes_on_to_the_same(
    store: Store, talk: Store, targets: Targets, tmp_path: Path
) -> None:
    from genrewatch_trainer.training import fit as module
    from genrewatch_trainer.training.epoch_log import read_history
    from genrewatch_trainer.training.fit import More, fit

    more = More(also=((talk, 0.5),), targets=(targets,))

    def train(name: str) -> Path:
        run = fit(store, DISTILLED, tmp_path / name, scheme="fixed", train_parts=("train",), seed=0, more=more)
        assert run.finished
        return run.path

    whole = module.Run.load(train("whole"))
    rows = read_history(whole.path)
    assert len(rows) == 14
    assert rows[7]["target_error"] < 0.5 * rows[0]["target_error"]
    assert rows[-1]["val_clip_accuracy"] > 0.9
    assert whole.labels == ("high", "low", "not_music")
    assert whole.model().output_shape == (None, 3)
    assert whole.record.also[0].n_clips == 4

    keep, epochs = module._keep, iter(range(14))

    def killed(*arguments: object) -> None:
        keep(*arguments)  # type: ignore[arg-type]
        if next(epochs) == 8:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_keep", killed)
        with pytest.raises(KeyboardInterrupt):
            train("killed")
    again = module.Run.load(train("killed"))
    picture = np.stack([store.clip(0)[:16] / 80 + 1])[..., None]
    expected, found = (np.asarray(run.model(last=True).predict(picture, verbose=0)) for run in (whole, again))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_is_judged_is_settled_on_plain_clips_and_training_goes_on_with_its_own(store: Store) -> None:
    from genrewatch_trainer.training.network import as_judged, build, compile_for_training

    recipe = replace(TINY_RECIPE, settle_batches=4)
    feed = Feed(store=store, clips=tuple(range(20)), recipe=recipe, seed=0)
    model = build(recipe, 2)
    compile_for_training(model, recipe, feed.n_batches, 2)
    before = model.get_weights()
    pictures = list(feed.plain())
    assert len(pictures) == 4
    norm = model.get_layer("block1_norm")
    convolved = np.concatenate([np.asarray(model.get_layer("block1")(x)) for x in pictures])
    with as_judged(model, pictures):
        np.testing.assert_allclose(np.asarray(norm.moving_mean), convolved.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-5)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_recipe_that_teaches_needs_targets_and_another_wants_none(
    store: Store, targets: Targets, tmp_path: Path
) -> None:
    from genrewatch_trainer.training.fit import More, fit

    def start(recipe: object, more: More) -> None:
        fit(store, recipe, tmp_path / "run", scheme="fixed", train_parts=("train",), seed=0, more=more)  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match="--targets: found none, expected what recipe tiny needs"):
        start(DISTILLED, More())
    with pytest.raises(ConfigError, match="--targets: found 1 of them"):
        start(TINY_RECIPE, More(targets=(targets,)))
    other = write_store(tmp_path / "other").parted("fixed", {"low.00": "test"})
    with pytest.raises(DataError, match="holds no clip to train on"):
        start(TINY_RECIPE, More(also=((other, 1.0),)))
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_tunes_goes_on_with_the_whole_network_of_another_run(
    trained: tuple[Store, Run], talk: Store, tmp_path: Path
) -> None:
    from genrewatch_trainer.training.fit import More, fit

    store, earlier = trained
    still = replace(TINY_RECIPE, tunes=True, epochs=1, learning_rate=0.0, batch_norm_momentum=1.0)

    def tune(name: str, more: More, **changes: object) -> Run:
        recipe = replace(still, **changes)  # type: ignore[arg-type]
        return fit(store, recipe, tmp_path / name, scheme="fixed", train_parts=("train",), seed=1, more=more)

    tuned = tune("still", More(start=earlier))
    for now, then in zip(tuned.model(last=True).get_weights(), earlier.model(last=True).get_weights(), strict=True):
        np.testing.assert_array_equal(now, then)
    with pytest.raises(ConfigError, match="--start-from: found nothing, expected a readout"):
        tune("refused", More())
    with pytest.raises(ConfigError, match="run: head: found flatten, expected bands"):
        tune("refused", More(start=earlier), head="bands")
    with pytest.raises(ConfigError, match="run: labels: found high low, expected high low not_music"):
        tune("refused", More(start=earlier, also=((talk, 0.5),)))
    with pytest.raises(ConfigError, match="run: blocks: found"):
        tune("refused", More(start=earlier), blocks=(Block(filters=5),))
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


def test_a_sweep_trains_what_is_missing_and_writes_the_table(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genrewatch_trainer.training.recipes.RECIPES", {"tiny": replace(TINY_RECIPE, epochs=2)})
    (tmp_path / "spec.toml").write_text(SPEC)
    spec, out = load_spec(tmp_path / "spec.toml"), tmp_path / "sweep"
    rows = sweep(spec, store, out, also=(), targets=())
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
    assert sweep(spec, store, out, also=(), targets=())[1]["segment_accuracy"] == rows[1]["segment_accuracy"]
    assert (out / "second-0" / "last.keras").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (SPEC.replace('"first"\nch', '"third"\nch'), "runs.start_from: found third, expected a run before second"),
        (SPEC.replace('name = "second"', 'name = "first"'), "a name twice"),
        (SPEC.replace("epochs", "epoch"), "epoch: unknown key, did you mean epochs"),
        (SPEC.replace('"second"', '"a/b"'), "a name that a folder can have"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_it_starts(
    text: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genrewatch_trainer.training.recipes.RECIPES", {"tiny": TINY_RECIPE})
    (tmp_path / "spec.toml").write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        load_spec(tmp_path / "spec.toml")


def test_the_sweeps_that_are_kept_here_can_be_read() -> None:
    for path in (Path(__file__).parents[2] / "trainer" / "genrewatch_trainer" / "sweeps").glob("*.toml"):
        assert load_spec(path).runs

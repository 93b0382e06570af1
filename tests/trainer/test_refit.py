"""A refit keeps the body, balances labels and collections, measures without the clips' artists and writes a bundle."""

import json
from pathlib import Path

import numpy as np
import pytest

from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.errors import DataError
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.golden import check_golden
from genrewatch.inference.head import body_of
from genrewatch_trainer.adaptation.balanced_fit import fit_balanced, segment_weights
from genrewatch_trainer.adaptation.clip_features import ClipFeatures, clip_features
from genrewatch_trainer.cli import main
from genrewatch_trainer.data.store import Store, new_store

N_CLIPS = 4
BUNDLE = load_bundle(SHIPPED_BUNDLE)
GENRES = BUNDLE.manifest.genres


def spectrum(label: str, rng: np.random.Generator) -> np.ndarray:
    """Log-mel of a sound whose loud bands and rhythm depend on the label: no music, but easy to tell apart."""
    front_end, i = BUNDLE.manifest.front_end, BUNDLE.manifest.labels.index(label)
    power_db = rng.normal(-60, 3, (front_end.segment_frames + 24, front_end.n_mels)).astype(np.float32)
    power_db[:: 2 + i % 4, 11 * i : 11 * i + 11] += 50
    return power_db


def write(path: Path, labels: tuple[str, ...], rng: np.random.Generator, prefix: str = "") -> Path:
    with new_store(path, BUNDLE.manifest.front_end, provenance="made by a test") as store:
        for label in labels:
            for n in range(N_CLIPS):
                store.add(spectrum(label, rng), name=f"{prefix}{label}.{n}", label=label, artist=f"{prefix}{label}{n}")
    index = json.loads((path / "store.json").read_text())
    index["splits"] = {"fixed": {clip["name"]: "train" for clip in index["clips"]}}
    (path / "store.json").write_text(json.dumps(index))
    return path


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("refit")
    songs = write(folder / "songs", GENRES, rng)
    other = write(folder / "other", ("jazz", "rock", "pop"), rng, prefix="o")
    return songs, other, write(folder / "talk", ("not_music",), rng)


@pytest.fixture(scope="module")
def refit(stores: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    songs, other, talk = map(str, stores)
    output = tmp_path_factory.mktemp("bundle") / "mine"
    arguments = ["refit", str(SHIPPED_BUNDLE), songs, "--also", f"{other}=0.4", "--also", f"{talk}=1"]
    assert (
        main(
            [*arguments, "--split", "fixed", "--folds", "3", "--strength", "0.01", "--field", "0.5", "-o", str(output)]
        )
        == 0
    )
    return output


def test_the_new_bundle_loads_passes_its_golden_check_and_keeps_the_body(refit):
    bundle = load_bundle(refit)
    check_golden(bundle, Classifier.of(bundle))
    log_mel = bundle.golden.log_mel
    assert np.array_equal(
        Classifier(body_of(bundle.model)).logits(log_mel), Classifier(body_of(BUNDLE.model)).logits(log_mel)
    )
    assert bundle.manifest.labels == BUNDLE.manifest.labels
    assert bundle.model != BUNDLE.model


def test_it_learns_what_the_old_head_did_not_know_and_says_so_of_clips_it_was_not_fitted_on(refit, stores):
    metrics = load_bundle(refit).manifest.metrics
    assert metrics["int8"]["n_clips"] == N_CLIPS * len(GENRES)
    assert metrics["int8"]["clip_accuracy_mean"] > 0.8
    assert metrics["other_collections"]["other"] > 0.8
    assert set(metrics["collections_apart"]) == {"songs -> other", "other -> songs"}


def test_the_provenance_names_the_body_the_clips_and_the_shares(refit):
    provenance = load_bundle(refit).manifest.provenance["refit"]
    assert provenance["clips"] == {"songs": 40, "other": 12, "talk": 4}
    assert provenance["field_weight"] == 0.5
    assert provenance["shares"] == {"other": 0.4, "talk": 1.0}
    assert provenance["body"] == f"{BUNDLE.manifest.name} {BUNDLE.manifest.version}"


def test_every_label_weighs_the_same_and_a_collection_has_its_share():
    main_ids, other_ids, talk_ids = np.array([0, 0, 0, 1, 1, 1, 1, 1, 1]), np.array([1, 1]), np.array([2])
    weights = segment_weights([main_ids, other_ids, talk_ids], [0.25, 1.0], 3)
    ids = np.concatenate([main_ids, other_ids, talk_ids])
    sums = [weights[ids == label].sum() for label in range(3)]
    assert sums == pytest.approx([4.5, 4.5, 4.5])
    assert weights[9:11].sum() == pytest.approx(0.25 * 4.5)
    assert weights[:3].sum() == pytest.approx(4.5)


def test_balanced_weights_do_not_favour_the_label_with_more_clips(rng):
    def clips(label: str, n: int, mean: float) -> ClipFeatures:
        features = tuple(rng.normal(mean, 1.0, (4, 6)).astype(np.float32) for _ in range(n))
        names = tuple(f"{label}{i}" for i in range(n))
        return ClipFeatures(collection=label, names=names, labels=(label,) * n, groups=names, features=features)

    few, many = clips("few", 4, 0.2), clips("many", 80, -0.2)
    both = ClipFeatures(
        collection="both",
        names=few.names + many.names,
        labels=few.labels + many.labels,
        groups=few.groups + many.groups,
        features=few.features + many.features,
    )
    head = fit_balanced(both, (), ("few", "many"), 1e-5)
    middle = np.zeros(6, np.float32) @ head.weights.T + head.offsets
    assert abs(float(middle[0] - middle[1])) < 0.1


def test_a_label_without_a_clip_is_one_clear_line(stores, tmp_path, capsys):
    songs = str(stores[0])
    arguments = ["refit", str(SHIPPED_BUNDLE), songs, "--split", "fixed", "--folds", "3", "-o", str(tmp_path / "b")]
    assert main(arguments) == 2
    assert "labels: no clip of not_music, expected at least one clip of each label" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--folds", "1"], "--folds: found 1, expected at least 2"),
        (["--folds", "500"], "--folds: 40 artists, expected at least 500"),
        (["--train-parts", "nosuch"], "--train-parts: found nosuch, expected train"),
        (["--also", "{songs}=3"], "--also: found a share of 3, expected at most 1"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_written(stores, tmp_path, capsys, options, message):
    songs, _, talk = map(str, stores)
    given = [option.format(songs=songs) for option in options]
    arguments = ["refit", str(SHIPPED_BUNDLE), songs, "--also", f"{talk}=1", "--split", "fixed", *given]
    assert main([*arguments, "-o", str(tmp_path / "b")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_collection_needs_clips_of_the_bundles_labels(tmp_path, rng, capsys):
    with new_store(tmp_path / "zouk", BUNDLE.manifest.front_end, provenance="made by a test") as store:
        store.add(spectrum("jazz", rng), name="zouk.0", label="zouk")
    with pytest.raises(DataError, match="no clip of a segment or more"):
        clip_features(BUNDLE, Store.load(tmp_path / "zouk"), [0])

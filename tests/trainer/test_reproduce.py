"""The paper's experiments on a toy store: every part, once, and what each must hold."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import soundfile
from sklearn.linear_model import LogisticRegression
from tests.lab import TINY, low_or_high

from genrewatch.contract.errors import ConfigError
from genrewatch.contract.front_end import COMPACT, PAPER, FrontEnd, FrontEndConfig
from genrewatch_trainer.cli import main
from genrewatch_trainer.data.prepare import prepare
from genrewatch_trainer.data.store import Store, new_store
from genrewatch_trainer.reproduce.baselines import METHODS, correct_predictions, pipelines
from genrewatch_trainer.reproduce.figures import power_spectrum
from genrewatch_trainer.reproduce.measures import accuracy_by_duration, mean_risk, reliability, risk_coverage, roc_of
from genrewatch_trainer.reproduce.mfcc import mfcc, write_mfcc_store
from genrewatch_trainer.reproduce.paper import CLASSIFIERS_PERCENT
from genrewatch_trainer.reproduce.plan import PlannedFit, planned_fits, split_of
from genrewatch_trainer.reproduce.reproduce import reproduce
from genrewatch_trainer.reproduce.summary import complete
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.recipes import PAPER_RECIPE

SQUARE = replace(TINY, n_fft=256, n_mels=32, segment_frames=32)
LABELS = ("low", "high")
N_CLIPS = 24
PARTS = ["train"] * 12 + ["valid"] * 6 + ["test"] * 6


def write_toy(path: Path, front_end: FrontEndConfig = SQUARE) -> Store:
    """24 clips a label in the two tabled splits; clip 1 of each label is clip 0 again, and in no table."""
    rng = np.random.default_rng(20260303)
    names = {f"{label}.{i:02}": (label, i) for label in LABELS for i in range(N_CLIPS)}
    filtered = {name: PARTS[i] for name, (_, i) in names.items() if i != 1}
    folds = {name: str(1 + i % 3) for name, (_, i) in names.items() if i != 1}
    with new_store(path, front_end, provenance="toy", splits={"fault_filtered": filtered, "artist_fold": folds}) as to:
        for label in LABELS:
            clips = [low_or_high(rng, label, front_end.segment_frames * 2, front_end) for _ in range(N_CLIPS)]
            clips[1] = clips[0]
            for i, clip in enumerate(clips):
                track = f"{label}.{0 if i == 1 else i:02}"
                to.add(clip, name=f"{label}.{i:02}", label=label, track=track, artist=f"{label} {i % 6}")
    return Store.load(path)


def plan_of(store: Store, seeds: int = 1) -> dict[str, PlannedFit]:
    return {e.name: e for e in planned_fits(store.index, seeds=seeds, epochs=1, audio=False)}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of one seed and epoch, and beside it the toy store; not to be written to."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("reproduce")
    write_toy(folder / "toy")
    command = ["reproduce", str(folder / "toy"), "-o", str(folder / "report"), "--seeds", "1", "--epochs", "1"]
    tf.config.run_functions_eagerly(True)  # to trace eight networks takes longer than one epoch of a toy
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("genrewatch_trainer.reproduce.baselines.INNER_FOLDS", 2)
        patched.setattr("genrewatch_trainer.reproduce.baselines.TREES", 5)
        assert main(command) == 0
    tf.config.run_functions_eagerly(False)
    return folder / "report"


@pytest.mark.slow
def test_the_report_holds_the_numbers_of_the_summary_for_every_part(report: Path) -> None:
    summary = json.loads((report / "summary.json").read_text())
    assert set(summary["splits"]) == {
        "random",
        "fault_filtered",
        "artist",
        "mfcc-random",
        "mfcc-fault_filtered",
        "curves",
    }
    assert summary["splits"]["artist"]["metrics"]["n_clips"]["mean"] == 46  # each clip of a fold once
    assert summary["artist_in_training"]["artist"]["mean"] == 0
    assert summary["store"]["repeats"] == [["low.00", "low.01"], ["high.00", "high.01"]]
    text = (report / "report.md").read_text()
    vote = summary["splits"]["random"]["metrics"]["clip_accuracy_vote"]
    assert vote["sd"] is None
    assert f"gives **{100 * vote['mean']:.1f} %** here, with refusals counted as errors" in text
    for method in METHODS:
        accuracy = summary["table_ii"][method]["fault_filtered"]["mean"]
        row = next(line for line in text.splitlines() if line.startswith(f"| {method} |"))
        assert row.split(" | ")[1] == f"{CLASSIFIERS_PERCENT[method]:.2f}"
        assert f"{100 * accuracy:.1f}" in row
    assert "own front end" not in text  # no --audio
    assert summary["missing_runs"] == []
    assert "not finished" not in text


@pytest.mark.slow
def test_every_figure_is_drawn_and_shown(report: Path) -> None:
    images = {path.name for path in report.glob("*.png")}
    assert images == {
        *("sound.png", "mel_spectrograms.png", "curves.png", "roc.png", "seconds_heard.png", "risk_coverage.png"),
        *("reliability.png", "confusion_random.png", "confusion_fault_filtered.png", "confusion_artist.png"),
    }
    text = (report / "report.md").read_text()
    for name in images:
        assert f"]({name})" in text
        assert (report / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_what_is_finished_is_not_fitted_again_and_other_settings_are_refused(
    report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {path: path.stat().st_mtime_ns for path in report.glob("runs/*/last.keras")}
    assert len(weights) == 8

    def never(*_: object, **__: object) -> None:
        raise AssertionError("fitted again")

    with monkeypatch.context() as patched:
        patched.setattr("genrewatch_trainer.training.fit.fit", never)
        patched.setattr("genrewatch_trainer.reproduce.baselines.correct_predictions", never)
        reproduce(report.parent / "toy", report, seeds=1, epochs=1, audio=None)
    assert {path: path.stat().st_mtime_ns for path in report.glob("runs/*/last.keras")} == weights
    with pytest.raises(ConfigError, match="random-0: holds a run with another recipe"):
        reproduce(report.parent / "toy", report, seeds=1, epochs=2, audio=None, only=("random",))


@pytest.mark.slow
def test_a_seed_counts_when_all_its_folds_are_there(report: Path) -> None:
    plan = list(plan_of(Store.load(report.parent / "toy"), seeds=2).values())
    there = {e.name: None for e in plan if e.seed == 0 or e.name == "artist-1-1"}
    assert {(e.key, e.seed) for e in complete(plan, there)} == {(e.key, 0) for e in plan}  # type: ignore[arg-type]


def test_repeats_are_never_on_two_sides(tmp_path: Path) -> None:
    store = write_toy(tmp_path / "toy")
    for seed in range(5):
        random = split_of(store.index, plan_of(store, seeds=seed + 1)[f"random-{seed}"])
        assert all(random[f"{label}.00"] == random[f"{label}.01"] for label in LABELS)
    tabled = store.parted(
        "fault_filtered", {**store.index.splits["fault_filtered"], "low.00": "test", "low.01": "train"}
    )
    found = split_of(tabled.index, plan_of(store)["fault_filtered-0"])
    assert found["low.00"] == "test"
    assert "low.01" not in found


def test_mfcc_is_the_orthonormal_dct_of_db_below_the_loudest_cell() -> None:
    clip = np.random.default_rng(1).uniform(-120, -10, (50, 128)).astype(np.float32)
    below = np.maximum(clip - clip.max(), -80)
    expected = scipy.fft.dct(below.astype(np.float64), type=2, norm="ortho", axis=1)[:, :20]
    np.testing.assert_allclose(mfcc(clip, 20), expected, atol=1e-2)
    np.testing.assert_allclose(mfcc(clip - 20, 20), mfcc(clip, 20), atol=1e-2)  # the listening level changes nothing


def test_the_mfcc_input_is_scaled_by_the_training_part_alone(tmp_path: Path) -> None:
    store = write_toy(tmp_path / "toy")
    parts = store.index.splits["fault_filtered"]
    write_mfcc_store(store, tmp_path / "a", scheme="x", parts=parts, train=("train",))
    changed = tmp_path / "changed"
    with new_store(changed, SQUARE, provenance="toy") as to:
        for i, clip in enumerate(store.index.clips):
            data = store.clip(i) if parts.get(clip.name) == "train" else store.clip(i)[::-1] * np.float32(0.5)
            to.add(data, name=clip.name, label=clip.label)
    write_mfcc_store(Store.load(changed), tmp_path / "b", scheme="x", parts=parts, train=("train",))
    a, b = Store.load(tmp_path / "a"), Store.load(tmp_path / "b")
    for i, clip in enumerate(a.index.clips):
        assert np.array_equal(a.clip(i), b.clip(i)) == (parts.get(clip.name) == "train")
    front_end = FrontEnd(a.index.front_end)
    trained = np.concatenate(
        [front_end.scale(a.clip(i)) for i, clip in enumerate(a.index.clips) if parts.get(clip.name) == "train"]
    )
    np.testing.assert_allclose(trained.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(trained.std(axis=0), 1 / 8, atol=0.02)  # 4 deviations to either side


def test_baselines_scale_by_the_training_part_and_learn_what_is_trivial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write_toy(tmp_path / "toy")
    planned = plan_of(store)["fault_filtered-0"]
    seen: list[int] = []
    scale = pipelines(0)["SVM"][0].steps[0][1].__class__
    fit = scale.fit
    monkeypatch.setattr(scale, "fit", lambda self, x, *rest: (seen.append(len(x)), fit(self, x, *rest))[1])
    right = correct_predictions(store, split_of(store.index, planned), planned)
    assert max(seen) == 2 * (11 + 6)  # train and valid without the repeats, and never a test clip
    assert set(right) == set(METHODS)
    assert all(len(hits) == 12 and all(hits) for hits in right.values())
    assert isinstance(pipelines(0)["logistic regression"][0].steps[-1][1], LogisticRegression)


@pytest.mark.slow
def test_sound_files_go_through_the_paper_s_own_front_end(tmp_path: Path) -> None:
    import tensorflow as tf

    write_toy(tmp_path / "toy")
    rng = np.random.default_rng(1)
    for label, hz in (("low", 200), ("high", 3000)):
        (tmp_path / "sounds" / label).mkdir(parents=True)
        for i in range(3):
            tone = np.sin(2 * np.pi * hz * np.arange(PAPER.segment_samples) / PAPER.sample_rate)
            noisy = 0.3 * tone + 0.01 * rng.standard_normal(len(tone))
            soundfile.write(tmp_path / "sounds" / label / f"{label}.{i}.wav", noisy, PAPER.sample_rate)
    report = tmp_path / "report"
    prepare(tmp_path / "sounds", report / "stores" / "audio", PAPER, splits=None, jobs=1)  # as it would, in one process
    tf.config.run_functions_eagerly(True)
    reproduce(tmp_path / "toy", report, seeds=1, epochs=1, audio=tmp_path / "sounds", only=("audio",))
    tf.config.run_functions_eagerly(False)
    assert Run.load(report / "runs" / "audio-0").recipe == replace(PAPER_RECIPE, epochs=1)
    text = (report / "report.md").read_text()
    assert "n_fft 1024, hop 256, 128 x 660" in text
    assert "4 clips to train and 2 to test" in text
    assert "is not finished: random-0, fault_filtered-0, artist-1-0" in text
    assert [path.name for path in (report / "runs").iterdir()] == ["audio-0"]


def test_roc_of_known_scores() -> None:
    posterior = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]], np.float32)
    roc = roc_of(posterior, np.array([0, 0, 1, 1]), 0)
    assert roc
    assert roc.auc == pytest.approx(3 / 4)  # of four pairs one is ranked wrongly
    assert (roc.false_rate[-1], roc.true_rate[-1]) == (1, 1)
    assert roc_of(posterior, np.zeros(4, np.int64), 0) is None


def test_risk_and_coverage_of_a_known_ranking() -> None:
    confidence = np.array([0.5, 0.9, 0.8, 0.5], np.float32)
    coverage, risk = risk_coverage(confidence, np.array([False, True, False, True]))
    assert coverage.tolist() == [0.25, 0.5, 1]  # the two of equal confidence come together
    assert risk.tolist() == [0, 0.5, 0.5]
    assert mean_risk(coverage, risk) == pytest.approx(0.25 * 0 + 0.25 * 0.5 + 0.5 * 0.5)


def test_reliability_puts_answers_in_bins_of_confidence() -> None:
    posterior = np.array([[0.9, 0.1], [0.91, 0.09], [0.4, 0.6]], np.float32)
    found = reliability(posterior, np.array([0, 1, 1]))
    np.testing.assert_allclose(found.confidence, [0.6, 0.905], rtol=1e-5)
    assert found.accuracy.tolist() == [1, 0.5]
    assert found.count.tolist() == [1, 2]


def test_accuracy_by_duration_counts_a_tie_as_an_error_of_the_vote() -> None:
    clip = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)
    first, second, third = accuracy_by_duration([clip], np.array([0]), COMPACT, hop_frames=48)
    assert first.seconds == pytest.approx((95 * 1708 + 2048) / 22_050)
    assert second.seconds - first.seconds == pytest.approx(48 * 1708 / 22_050)
    assert [row.by_vote for row in (first, second, third)] == [1, 0, 1]
    assert (second.by_mean, second.coverage) == (1, 0)


def test_a_full_scale_sine_is_0_db_in_the_power_spectrum() -> None:
    hz, power_db = power_spectrum(np.sin(2 * np.pi * 1000 * np.arange(16_384) / 8192).astype(np.float32), 8192)
    assert hz[power_db.argmax()] == pytest.approx(1000)
    assert power_db.max() == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--only nonsense", "--only: found nonsense, expected of random, fault_filtered"),
        ("--only audio", "--only: found audio, expected --audio"),
        ("--only report --audio nowhere", "nowhere: is not a folder, expected a folder per genre"),
    ],
)
def test_what_cannot_work_is_one_line(
    arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_toy(tmp_path / "toy")
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "toy", "-o", "r", *arguments.split()]) == 2
    command = capsys.readouterr().err
    assert message in command
    assert command.count("\n") == 1


def test_a_segment_too_small_for_the_network_is_one_line(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", str(store.path), "-o", str(store.path.parent / "r")]) == 2
    assert "front_end: found 16 frames x 8 bands, expected at least 32 of each" in capsys.readouterr().err

"""A bundle is adapted to labels of one's own, a folder each: measured, calibrated, and a bundle like any other."""

import json
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from tests.trainer.test_refit import BUNDLE, GENRES, spectrum, write

import genrewatch
from genrewatch.contract.bundle import load_bundle
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.golden import check_golden
from genrewatch_trainer.adaptation.summary import CENTRES, as_clips
from genrewatch_trainer.cli import main

RATE, SECONDS, N_FILES = 22_050, 10, 4


def write_wav(path: Path, samples: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def hiss(rng: np.random.Generator) -> np.ndarray:
    return 0.1 * rng.standard_normal(SECONDS * RATE)


def hum(rng: np.random.Generator) -> np.ndarray:
    t = np.arange(SECONDS * RATE) / RATE
    return sum(0.1 * np.sin(2 * np.pi * k * rng.uniform(90, 110) * t) for k in range(1, 5)) + 0.002 * hiss(rng)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a summary: a refit of the shipped one on toy clips."""
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("base")
    songs, talk = write(folder / "songs", GENRES, rng), write(folder / "talk", ("not_music",), rng)
    arguments = ["refit", str(SHIPPED_BUNDLE), str(songs), "--also", f"{talk}=1", "--split", "fixed", "--folds", "2"]
    assert main([*arguments, "--strength", "0.01", "-o", str(folder / "base")]) == 0
    return folder / "base"


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, folder = np.random.default_rng(6), tmp_path_factory.mktemp("own")
    for n in range(N_FILES):
        write_wav(folder / "hiss" / f"a{n}.wav", hiss(rng))
        write_wav(folder / "our hum" / f"b{n}.wav", hum(rng))
    write_wav(folder / "hiss" / "short.wav", hiss(rng)[:RATE])
    return folder


@pytest.fixture(scope="module")
def adapted(base: Path, audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("mine") / "bar"
    assert main(["adapt", str(audio), "--bundle", str(base), "--jobs", "1", "-o", str(output)]) == 0
    return output


def test_the_bundle_has_the_old_labels_and_ones_own_and_passes_its_golden_check(adapted: Path) -> None:
    bundle = load_bundle(adapted)
    check_golden(bundle, Classifier.of(bundle))
    assert bundle.manifest.labels == (*BUNDLE.manifest.labels, "hiss", "our hum")
    assert bundle.manifest.name == "bar"
    assert bundle.manifest.provenance["adapt"]["files"] == {"hiss": N_FILES, "our hum": N_FILES}


def test_it_knows_sounds_it_has_not_learned_and_still_what_it_knew(adapted: Path, tmp_path: Path) -> None:
    bundle, rng = genrewatch.open_bundle(adapted), np.random.default_rng(99)
    for name, sound in (("hiss", hiss), ("our hum", hum)):
        path = write_wav(tmp_path / f"{name}.wav", sound(rng))
        assert genrewatch.classify_file(path, bundle).verdict.genre == name
    classifier, front_end = Classifier.of(load_bundle(adapted)), BUNDLE.manifest.front_end
    right = 0
    for label in BUNDLE.manifest.labels:
        power_db = spectrum(label, rng)[: front_end.segment_frames]
        log_mel = genrewatch_front_end().scale(power_db)
        right += load_bundle(adapted).manifest.labels[int(classifier.posterior(log_mel).argmax())] == label
    assert right >= len(BUNDLE.manifest.labels) - 1


def genrewatch_front_end():
    from genrewatch.contract.front_end import FrontEnd

    return FrontEnd(BUNDLE.manifest.front_end)


def test_the_figures_are_of_held_out_files(adapted: Path) -> None:
    metrics = load_bundle(adapted).manifest.metrics
    assert metrics["int8"]["n_clips"] == 2 * N_FILES
    assert metrics["by_label"] == {"hiss": [N_FILES, N_FILES], "our hum": [N_FILES, N_FILES]}
    assert metrics["summary_after"] > 0.9


def test_its_own_summary_holds_the_new_labels_so_it_can_be_adapted_again(adapted: Path) -> None:
    bundle = load_bundle(adapted)
    assert bundle.summary is not None
    clips = as_clips(bundle.summary, bundle.manifest.labels, "summary")
    assert set(clips.labels) == set(bundle.manifest.labels)
    assert max(clips.labels.count(label) for label in clips.labels) <= CENTRES


def test_the_old_genres_can_be_dropped_but_not_music_stays(base: Path, audio: Path, tmp_path: Path, capsys) -> None:
    arguments = ["adapt", str(audio), "--bundle", str(base), "--jobs", "1", "-o", str(tmp_path / "two")]
    assert main([*arguments, "--keep", "none"]) == 0
    assert load_bundle(tmp_path / "two").manifest.labels == ("not_music", "hiss", "our hum")
    printed = capsys.readouterr()
    assert "held-out clips: 100.0% +- 0.0% of 8 right by mean posterior" in printed.out
    assert "left out: " in printed.err
    assert "short.wav" in printed.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--keep", "polka"], "--keep: found polka, expected labels of the bundle: blues"),
        (["--share", "2"], "--share: found 2, expected at most 1"),
    ],
)
def test_a_mistake_is_one_line(base: Path, audio: Path, tmp_path: Path, capsys, options: list[str], said: str) -> None:
    arguments = ["adapt", str(audio), "--bundle", str(base), "--jobs", "1", "-o", str(tmp_path / "b")]
    assert main([*arguments, *options]) == 2
    assert said in capsys.readouterr().err


def test_a_bundle_without_a_summary_is_one_line(audio: Path, tmp_path: Path, capsys) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(SHIPPED_BUNDLE, bare)
    (bare / "summary.npz").unlink()
    manifest = json.loads((bare / "bundle.json").read_text())
    del manifest["summary"], manifest["files"]["summary.npz"]
    (bare / "bundle.json").write_text(json.dumps(manifest))
    assert main(["adapt", str(audio), "--bundle", str(bare), "--jobs", "1", "-o", str(tmp_path / "b")]) == 2
    assert "has no summary.npz, expected a bundle made by `refit`" in capsys.readouterr().err


@pytest.mark.parametrize(("folder", "said"), [("silence", "reserved"), ("one", "1 usable clips, expected 2 or more")])
def test_a_folder_that_cannot_be_a_label_is_one_line(
    base: Path, tmp_path: Path, capsys, folder: str, said: str
) -> None:
    write_wav(tmp_path / "audio" / folder / "x.wav", hiss(np.random.default_rng(1)))
    assert (
        main(["adapt", str(tmp_path / "audio"), "--bundle", str(base), "--jobs", "1", "-o", str(tmp_path / "b")]) == 2
    )
    assert said in capsys.readouterr().err


def labelled(folder: Path, rows: str) -> list[str]:
    """A recording of hiss and hum in turn, three times, with the rows of a label file; the arguments that name them."""
    rng = np.random.default_rng(11)
    write_wav(folder / "evening.wav", np.concatenate([make(rng) for make in (hiss, hum) * 3]))
    (folder / "labels.txt").write_text(rows)
    return [str(folder / "evening.wav"), "--labels", str(folder / "labels.txt")]


def test_a_recording_with_labelled_times_serves_as_well(base: Path, tmp_path: Path, capsys) -> None:
    rows = "0.0\t10.0\thiss\n\\\t100.0\t200.0\n10.5\t19.5\tour hum\n20\t30\thiss\n30\t40\tour hum\n\n39\t40\thiss\n"
    rows += "40\t50\thiss\n50\t60\tour hum\n"
    arguments = [*labelled(tmp_path, rows), "--bundle", str(base), "--keep", "none", "-o", str(tmp_path / "bar")]
    assert main(["adapt", *arguments]) == 0
    printed = capsys.readouterr()
    assert "held-out clips: 100.0% +- 0.0% of 6 right" in printed.out
    assert "left out: evening.wav 39-40 s: " in printed.err


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "no row"),
        ("0 10 hiss\n", "labels.txt:1: found '0 10 hiss', expected start, end and label"),
        ("0\t10\thiss\n9\t8\thum\n", "labels.txt:2: found '9\\t8\\thum', expected a start before its end"),
        ("0\t10\tsilence\n", "the label 'silence'"),
    ],
)
def test_a_wrong_label_file_is_one_line(base: Path, tmp_path: Path, capsys, rows: str, said: str) -> None:
    arguments = [*labelled(tmp_path, rows), "--bundle", str(base), "-o", str(tmp_path / "bar")]
    assert main(["adapt", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_it_needs_neither_tensorflow_nor_keras() -> None:
    program = """
import sys
sys.modules.update(dict.fromkeys(("tensorflow", "keras", "librosa", "matplotlib")))  # an import of them fails
import genrewatch_trainer.adaptation.adapt, genrewatch_trainer.adaptation.own_clips
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0

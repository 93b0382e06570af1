"""Tests with a small teacher program that writes the level of a crop and its largest sample."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.lab import TINY

from genrewatch.contract.errors import ConfigError, DataError
from genrewatch.contract.front_end import FrontEnd
from genrewatch_trainer.cli import main
from genrewatch_trainer.distillation.crops import LEVEL, CropChanges, random_crop
from genrewatch_trainer.distillation.targets import TargetIndex, Targets
from genrewatch_trainer.distillation.teach import find_songs, index_of, run_teacher, teach

TEACHER = """
import sys
import numpy as np
rate, n = int(sys.argv[1]), int(sys.argv[2])
while data := sys.stdin.buffer.read(4 * n * 3):
    crops = np.frombuffer(data, "<f4").reshape(-1, n)
    answer = np.stack([np.sqrt((crops**2).mean(axis=1)), crops.max(axis=1)], axis=1)
    sys.stdout.buffer.write(answer.astype("<f4").tobytes())
    sys.stdout.buffer.flush()
"""


@pytest.fixture
def songs(tmp_path: Path, rng: np.random.Generator) -> list[Path]:
    folder = tmp_path / "songs" / "rock"
    folder.mkdir(parents=True)
    for i in range(3):
        soundfile.write(folder / f"rock.{i}.wav", rng.uniform(-0.3, 0.3, 8000), TINY.sample_rate)
    return sorted(folder.iterdir())


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    program = tmp_path / "teacher.py"
    program.write_text(TEACHER)
    return f"{sys.executable} {program}"


def tiny_index(songs: list[Path], teacher: str, n_crops: int = 10) -> TargetIndex:
    index = index_of(songs, teacher, TINY, CropChanges(), n_crops=n_crops, seed=3)
    return replace(index, crops_per_chunk=4)


def test_each_target_belongs_to_the_crop_that_is_stored_with_it(
    songs: list[Path], teacher: str, tmp_path: Path
) -> None:
    targets = teach(songs, tiny_index(songs, teacher), tmp_path / "targets")
    assert targets.complete
    assert targets.power_db.shape == (10, 16, 8)
    assert targets.target.shape == (10, 2)
    np.testing.assert_allclose(targets.target[:, 0], LEVEL, rtol=1e-4)
    rng = np.random.default_rng((3, 1))
    for i in range(4, 8):
        crop = random_crop(songs, TINY.segment_samples, TINY.sample_rate, CropChanges(), rng)
        assert targets.target[i, 1] == pytest.approx(crop.max())
        np.testing.assert_array_equal(targets.power_db[i], FrontEnd(TINY).power_db(crop).astype(np.float16))


def test_a_killed_command_resumes_to_the_same_targets(songs: list[Path], teacher: str, tmp_path: Path) -> None:
    index, path = tiny_index(songs, teacher), tmp_path / "targets"
    whole = teach(songs, index, path)
    kept = (path / "00000.npz").stat().st_mtime_ns
    (path / "00001.npz").unlink()
    (path / ".00001.partial.npz").write_bytes(b"half")
    assert len(Targets.load(path)) == 4
    again = teach(songs, index, path)
    assert (path / "00000.npz").stat().st_mtime_ns == kept
    np.testing.assert_array_equal(again.target, whole.target)
    np.testing.assert_array_equal(again.power_db, whole.power_db)
    with pytest.raises(ConfigError, match="holds targets with other settings"):
        teach(songs, replace(index, seed=4), path)


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import sys; sys.stdin.buffer.read()", "wrote 0 numbers for 2 crops"),
        ("import sys; sys.stdin.buffer.read(); sys.stdout.buffer.write(bytes(12))", "wrote 3 numbers for 2 crops"),
        ("import sys; sys.stdin.buffer.read(); sys.stdout.buffer.write(b'\\xff' * 16)", "not finite"),
    ],
)
def test_a_teacher_that_fails_is_one_clear_line(program: str, error: str) -> None:
    with pytest.raises(DataError, match=error):
        run_teacher([sys.executable, "-c", program], iter([np.zeros(8, np.float32)] * 2))


def test_a_teacher_that_cannot_run_is_named() -> None:
    with pytest.raises(ConfigError, match="/no/such/program: no such file"):
        run_teacher(["/no/such/program"], iter([]))


def test_of_the_songs_that_a_table_names_only_those_of_the_parts_are_used(songs: list[Path], tmp_path: Path) -> None:
    table = tmp_path / "splits.tsv"
    table.write_text("name\tlabel\tfixed\nrock.0\trock\ttrain\nrock.1\trock\ttest\n")
    found = find_songs([tmp_path / "songs"], table, "fixed", ["train"])
    assert [path.stem for path in found] == ["rock.0", "rock.2"]
    with pytest.raises(ConfigError, match="--split: found other, expected one of fixed"):
        find_songs([tmp_path / "songs"], table, "other", ["train"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="hold no sound file"):
        find_songs([tmp_path / "empty"], None, "", [])


def test_a_crop_has_its_length_and_level_and_follows_its_changes(songs: list[Path]) -> None:
    for seed in range(10):
        how = CropChanges(mix_percent=50)
        crops = [random_crop(songs, 1024, 8000, how, np.random.default_rng(seed)) for _ in range(2)]
        np.testing.assert_array_equal(*crops)
        assert crops[0].shape == (1024,)
        assert np.sqrt((crops[0] ** 2).mean()) == pytest.approx(LEVEL, rel=1e-4)


def test_targets_are_made_by_the_command_line(
    songs: list[Path], teacher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "targets"
    arguments = ["teach", str(tmp_path / "songs"), "--teacher", teacher, "--crops", "2", "-o", str(out)]
    assert main(arguments) == 0
    assert "2 crops of 3 files, 2 values each" in capsys.readouterr().out
    assert json.loads((out / "targets.json").read_text())["teacher"] == teacher
    assert main([*arguments, "--seed", "5"]) == 2
    assert capsys.readouterr().err.count("\n") == 1

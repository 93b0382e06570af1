import random
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import COMPACT
from genrewatch_trainer.data.logmel_import import import_logmel


def write_npz(path: Path, **changes: np.ndarray) -> Path:
    codes = np.zeros((2, 128, 100), np.uint8)
    codes[0, 3, 50] = 255
    codes[0, 4, 51] = 51
    codes[1] = 255
    arrays = {
        "codes": codes,
        "name": np.array(["rock.0", "jazz.0"]),
        "label": np.array(["rock", "jazz"]),
        "scale_db": np.array([80, 60], np.float32),
        "clip_max_db": np.array([10, -3], np.float32),
    }
    np.savez(path, **(arrays | changes))
    return path


def test_codes_become_absolute_decibels_time_first(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("name\tlabel\tfolds\tartist_group\nrock.0\trock\ttrain\t3\njazz.0\tjazz\t-\t-\n")
    store, duplicates = import_logmel(write_npz(tmp_path / "x.npz"), tmp_path / "t.tsv", tmp_path / "s")
    assert duplicates == []
    assert store.index.front_end == COMPACT
    assert store.clip(0).shape == (100, 128)
    assert store.clip(0)[50, 3] == pytest.approx(10)
    assert store.clip(0)[51, 4] == pytest.approx(51 / 255 * 80 - 80 + 10)
    assert store.clip(0)[0, 0] == pytest.approx(-70)
    np.testing.assert_allclose(store.clip(1), -3)
    assert store.index.splits == {"folds": {"rock.0": "train"}}
    assert [clip.artist for clip in store.index.clips] == ["3", None]


def test_a_table_that_calls_a_clip_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("name\tlabel\nrock.0\tpop\n")
    with pytest.raises(DataError, match=r"rock\.0: label: found pop, expected rock"):
        import_logmel(write_npz(tmp_path / "x.npz"), tmp_path / "t.tsv", tmp_path / "s")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"codes": np.zeros((2, 64, 100), np.uint8)},
        {"codes": np.zeros((2, 128, 100), np.float32)},
        {"codes": np.zeros((2, 128, 10), np.uint8)},
        {"scale_db": np.zeros(3, np.float32)},
    ],
)
def test_arrays_of_another_shape_are_refused(tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match=next(iter(changes))):
        import_logmel(write_npz(tmp_path / "x.npz", **changes), None, tmp_path / "s")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_text("hello")
    with pytest.raises(DataError, match=r"x\.npz: cannot be read"):
        import_logmel(tmp_path / "x.npz", None, tmp_path / "s")


def test_pictures_that_are_the_same_become_one_track(tmp_path: Path) -> None:
    codes = np.zeros((2, 128, 100), np.uint8)
    store, duplicates = import_logmel(write_npz(tmp_path / "x.npz", codes=codes), None, tmp_path / "s")
    assert duplicates == [("jazz.0", "rock.0")]
    assert [clip.track for clip in store.index.clips] == ["rock.0", "rock.0"]


@pytest.mark.parametrize("key", ["scale_db", "clip_max_db"])
def test_what_is_no_number_is_refused(tmp_path: Path, key: str) -> None:
    for values in (np.array([80, np.nan], np.float32), np.array(["a", "b"])):
        with pytest.raises(DataError, match=key):
            import_logmel(write_npz(tmp_path / "x.npz", **{key: values}), None, tmp_path / "s")


@pytest.mark.parametrize("rounds", [60, pytest.param(300, marks=pytest.mark.slow)])
def test_no_wrong_bytes_of_an_archive_or_a_table_get_through(tmp_path: Path, rounds: int) -> None:
    random_ = random.Random(9)
    whole = write_npz(tmp_path / "whole.npz").read_bytes()
    rows = b"name\tlabel\tfolds\tartist_group\nrock.0\trock\ttrain\t3\njazz.0\tjazz\t-\t-\n"
    for number in range(rounds):
        changed = [bytearray(whole), bytearray(rows)]
        data = changed[number % 2]
        for _ in range(random_.choice((1, 3, 30))):
            place = random_.randrange(len(data))
            piece = random_.choice((b"", b"\0\0\0\0", b"\xff\xff\xff\x7f", random_.randbytes(1)))
            data[place : place + random_.randrange(8)] = piece
        (tmp_path / "x.npz").write_bytes(changed[0])
        (tmp_path / "t.tsv").write_bytes(changed[1])
        with suppress(DataError):
            import_logmel(tmp_path / "x.npz", tmp_path / "t.tsv", tmp_path / f"store-{number}")
        shutil.rmtree(tmp_path / f"store-{number}", ignore_errors=True)

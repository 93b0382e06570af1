import json
from pathlib import Path

import numpy as np
import pytest
from tests.lab import TINY

from genrewatch.contract.errors import DataError
from genrewatch_trainer.data.store import Store, new_store


def write_two(path: Path) -> list[np.ndarray]:
    clips = [np.random.default_rng(i).normal(-40, 9, (20 + i, TINY.n_mels)).astype(np.float32) for i in range(2)]
    schemes = {"halves": {"a": "one", "b": "two", "elsewhere": "one"}}
    with new_store(path, TINY, provenance="by hand", splits=schemes) as writer:
        writer.add(clips[0], name="a", label="rock", artist="7")
        writer.add(clips[1], name="b", label="jazz", track="t")
    return clips


def test_a_store_gives_back_what_was_written_bit_for_bit(tmp_path: Path) -> None:
    clips = write_two(tmp_path / "store")
    store = Store.load(tmp_path / "store")
    assert len(store) == 2
    for i, clip in enumerate(clips):
        np.testing.assert_array_equal(store.clip(i), clip)
    assert store.index.labels == ("jazz", "rock")
    assert store.label_ids.tolist() == [1, 0]
    assert store.index.front_end == TINY
    assert (store.index.clips[0].artist, store.index.clips[1].track) == ("7", "t")


def test_a_split_names_only_clips_that_are_in_the_store(tmp_path: Path) -> None:
    write_two(tmp_path / "store")
    assert Store.load(tmp_path / "store").index.splits == {"halves": {"a": "one", "b": "two"}}


def test_a_store_that_failed_half_way_does_not_exist(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_store(tmp_path / "store", TINY, provenance="") as writer:
            writer.add(np.zeros((16, TINY.n_mels), np.float32), name="a", label="rock")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_never_overwritten(tmp_path: Path) -> None:
    write_two(tmp_path / "store")
    with pytest.raises(DataError, match="exists already"):
        write_two(tmp_path / "store")


def test_two_clips_of_one_name_are_refused(tmp_path: Path) -> None:
    def twice() -> None:
        with new_store(tmp_path / "s", TINY, provenance="") as writer:
            for _ in range(2):
                writer.add(np.zeros((16, TINY.n_mels), np.float32), name="a", label="rock")

    with pytest.raises(DataError, match="a occurs twice"):
        twice()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("version", 99, "version: found 99"),
        ("colour", "red", "colour: unknown key"),
        ("labels", ["jazz"], "label: found rock"),
        ("splits", {"s": {"ghost": "train"}}, "splits.s: ghost is not in the store"),
    ],
)
def test_a_wrong_index_is_refused_in_one_line(tmp_path: Path, key: str, value: object, message: str) -> None:
    write_two(tmp_path / "store")
    path = tmp_path / "store" / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(DataError, match=message) as caught:
        Store.load(tmp_path / "store")
    assert "\n" not in str(caught.value)


def test_truncated_frames_are_refused(store: Store) -> None:
    frames = store.path / "power_db.npy"
    frames.write_bytes(frames.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"power_db\.npy"):
        Store.load(store.path)

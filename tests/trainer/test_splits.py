from collections import Counter
from pathlib import Path

import pytest
from tests.lab import TINY

from genrewatch.contract.errors import ConfigError, DataError
from genrewatch_trainer.data.splits import check_table, parts_of, read_splits
from genrewatch_trainer.data.store import Clip, StoreIndex

CLIPS = tuple(
    Clip(name=f"{label}.{i}", label=label, n_frames=16) for label in ("blues", "jazz", "rock") for i in range(20)
)


def drawn(clips: tuple[Clip, ...], scheme: str = "random_70_30", *, seed: int) -> dict[str, str]:
    index = StoreIndex(
        version=1, front_end=TINY, labels=("blues", "jazz", "rock"), clips=clips, power_db_sha256="", provenance=""
    )
    return parts_of(index, scheme, seed)


def test_a_random_split_puts_every_clip_in_one_part_and_is_stratified() -> None:
    parts = drawn(CLIPS, seed=1)
    assert parts.keys() == {clip.name for clip in CLIPS}
    counts = Counter((clip.label, parts[clip.name]) for clip in CLIPS)
    for label in ("blues", "jazz", "rock"):
        assert (counts[label, "train"], counts[label, "test"]) == (14, 6)


def test_a_random_split_depends_on_the_seed_alone() -> None:
    assert drawn(CLIPS, seed=1) == drawn(CLIPS, seed=1)
    assert drawn(CLIPS, seed=1) == drawn(tuple(reversed(CLIPS)), seed=1)
    assert drawn(CLIPS, seed=1) != drawn(CLIPS, seed=2)


@pytest.mark.parametrize("seed", range(5))
def test_clips_of_one_track_stay_together_even_across_labels(seed: int) -> None:
    same = tuple(Clip(name=f"copy.{i}", label=("blues", "rock")[i % 2], n_frames=16, track="x") for i in range(6))
    parts = drawn(CLIPS + same, seed=seed)
    assert len({parts[clip.name] for clip in same}) == 1


def test_a_validation_part_comes_out_of_the_training_part_and_leaves_the_test_part_alone() -> None:
    two, three = drawn(CLIPS, seed=3), drawn(CLIPS, "random_60_10_30", seed=3)
    assert {name for name, part in two.items() if part == "test"} == {n for n, part in three.items() if part == "test"}
    counts = Counter((clip.label, three[clip.name]) for clip in CLIPS)
    for label in ("blues", "jazz", "rock"):
        assert [counts[label, part] for part in ("train", "valid", "test")] == [12, 2, 6]


def test_a_scheme_of_the_store_comes_before_a_drawn_one() -> None:
    index = StoreIndex(
        version=1,
        front_end=TINY,
        labels=("blues", "jazz", "rock"),
        clips=CLIPS,
        power_db_sha256="",
        provenance="",
        splits={"random_70_30": {"blues.0": "test"}},
    )
    assert parts_of(index, "random_70_30", seed=0) == {"blues.0": "test"}
    with pytest.raises(ConfigError, match="--split: found nonsense, expected one of random_70_30, random_60_10_30"):
        parts_of(index, "nonsense", seed=0)


def test_a_table_gives_schemes_and_artists_and_leaves_out_dashes(tmp_path: Path) -> None:
    table = tmp_path / "splits.tsv"
    table.write_text("name\tlabel\tfolds\tartist_group\na\trock\t1\t7\nb\tjazz\t-\t-\n")
    read = read_splits(table)
    assert read.labels == {"a": "rock", "b": "jazz"}
    assert read.schemes == {"folds": {"a": "1"}}
    assert read.artists == {"a": "7"}


def test_a_table_that_names_no_clip_or_another_label_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("name\tlabel\tfolds\na.wav\trock\t1\n")
    table = read_splits(tmp_path / "t.tsv")
    with pytest.raises(DataError, match=r"names such as a\.wav, none of them a clip, expected names such as a"):
        check_table(table, {"a": "rock"}, "t.tsv")
    with pytest.raises(DataError, match="found rock, expected jazz"):
        check_table(table, {"a.wav": "jazz"}, "t.tsv")


NO_TABLES = [
    "",
    "song\tgenre\na\trock\n",
    "name\tlabel\tfolds\na\trock\n",
    "name\tlabel\tfolds\na\trock\t1\na\trock\t2\n",
    "name\tlabel\tfolds\tfolds\na\trock\t1\t2\n",
    "name\tlabel\tfolds\na\trock\t\n",
    "name\tlabel\tfolds\na\trock\ttrain \n",
]


@pytest.mark.parametrize("text", NO_TABLES)
def test_what_is_no_table_of_splits_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "splits.tsv").write_text(text)
    with pytest.raises(DataError, match=r"splits\.tsv"):
        read_splits(tmp_path / "splits.tsv")

"""Features of spells: means that cover them, in 8 bits, bounded, pruned with the spells; a broken store is one line."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.history.rig import NOON, spell

from genrewatch.contract.errors import DataError
from genrewatch.history.feature_means import FeatureMeans
from genrewatch.history.feature_store import FeatureStore, decoded, encoded, features_path, read_features
from genrewatch.history.spell import Spell


def with_features(value: float = 1.0, n: int = 3, n_features: int = 6) -> Spell:
    made = spell()
    made.context = replace(made.context, features=4, body="b" * 64)
    made.features = FeatureMeans(4)
    for i in range(n):
        made.features.add(np.full(n_features, value + i, np.float32))
    return made


@given(st.integers(1, 16), st.integers(1, 300))
def test_means_are_few_equal_in_length_and_cover_all_segments(most: int, n: int) -> None:
    means = FeatureMeans(most)
    for i in range(n):
        means.add(np.array([i], np.float32))
    found = means.means()[:, 0]
    length = 1
    while -(-n // length) > most:
        length *= 2
    expected = [np.arange(i, min(i + length, n)).mean() for i in range(0, n, length)]
    assert found == pytest.approx(expected)


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_eight_bits_keep_each_value_to_half_a_step(n: int, n_features: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(0, 5, (n, n_features)).astype(np.float32)
    again = decoded(encoded(vectors), n)
    step = np.ptp(vectors, axis=1, keepdims=True) / 255
    assert (np.abs(again - vectors) <= 0.51 * step + 1e-5).all()
    assert len(encoded(vectors)) == n * (8 + n_features)


def test_features_are_kept_by_number_private_and_deleted_with_the_spells(tmp_path: Path) -> None:
    path = features_path(tmp_path / "history-box.db")
    store = FeatureStore(path, 1)
    store.add(7, [with_features(), spell(), with_features(5.0)])
    found = read_features(path)
    assert list(found) == [7, 9]
    assert (found[7].source, found[7].start_ms, found[7].body) == ("mic", NOON, "b" * 64)
    assert found[9].vectors[:, 0] == pytest.approx([5, 6, 7])
    assert (path.name, path.stat().st_mode & 0o777) == ("features-box.db", 0o600)
    store.prune(9)
    assert list(read_features(path)) == [9]


def test_the_file_is_bounded_and_loses_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "features-box.db"
    store = FeatureStore(path, 1)
    for seq in range(1, 60):
        store.add(seq, [with_features(n=4, n_features=10_000)])
    found = sorted(read_features(path))
    assert found[-1] == 59
    assert len(found) < 26
    assert path.stat().st_size < 1_500_000


def broken_text(path: Path) -> None:
    path.write_text("no database " * 100)


def broken_directory(path: Path) -> None:
    path.mkdir()


def broken_table(path: Path) -> None:
    sqlite3.connect(path).execute("CREATE TABLE features (seq TEXT)").connection.commit()


def broken_trigger(path: Path) -> None:
    FeatureStore(path, 1).add(1, [with_features()])
    db = sqlite3.connect(path)
    db.execute("CREATE TRIGGER t AFTER INSERT ON features BEGIN DELETE FROM features; END")
    db.commit()


@pytest.mark.parametrize("broken", [broken_text, broken_table, broken_trigger])
def test_a_broken_store_is_one_line_and_a_new_one_is_made(tmp_path: Path, broken, caplog) -> None:
    path = tmp_path / "features-box.db"
    broken(path)
    store = FeatureStore(path, 1)
    store.add(1, [with_features()])
    assert "moved aside" in str(store.problem)
    assert "\n" not in str(store.problem)
    store.add(2, [with_features()])
    assert (store.problem, list(read_features(path))) == (None, [2])
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def test_a_store_that_cannot_be_written_is_one_line_however_often_it_is_tried(tmp_path: Path, caplog) -> None:
    broken_directory(tmp_path / "features-box.db")
    store = FeatureStore(tmp_path / "features-box.db", 1)
    for seq in range(3):
        store.add(seq, [with_features()])
        store.prune(0)
    assert store.problem == "features-box.db cannot be used (is not a regular file)"
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


@pytest.mark.parametrize("broken", [broken_text, broken_directory, broken_table, lambda path: None])
def test_reading_a_broken_store_is_one_line(tmp_path: Path, broken) -> None:
    broken(tmp_path / "f.db")
    with pytest.raises(DataError, match=r"is damaged|no such file") as caught:
        read_features(tmp_path / "f.db")
    assert "\n" not in str(caught.value)


ANY = st.none() | st.integers(-(2**62), 2**62) | st.floats() | st.text(max_size=5) | st.binary(max_size=60)


@settings(max_examples=60, deadline=None)
@given(row=st.tuples(ANY, ANY, ANY, ANY, ANY))
def test_whatever_a_row_holds_reading_gives_features_or_one_line(tmp_path_factory, row) -> None:
    path = tmp_path_factory.mktemp("f") / "f.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE features (seq INTEGER PRIMARY KEY, source, start_ms, body, vectors, codes)")
    try:
        db.execute("INSERT INTO features VALUES (1, ?, ?, ?, ?, ?)", row)
    except UnicodeEncodeError:
        return
    db.commit()
    try:
        found = read_features(path)[1]
    except DataError:
        return
    assert np.isfinite(found.vectors).all()

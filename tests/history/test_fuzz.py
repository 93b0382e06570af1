"""Databases with wrong bytes and values: damaged or unavailable for the writer, a line for a user of a command."""

import json
import random
import sqlite3

import pytest
from tests.history.rig import spell

from genrewatch.cli import main
from genrewatch.history.database import Damaged, Unavailable, database_path
from genrewatch.history.store import HistoryStore

COMMANDS = (
    *(("history",), ("history", "--json"), ("history", "--csv"), ("history", "verify")),
    *(("report", "--by", "hour"), ("report", "--by", "source", "--json"), ("replay",)),
)
TABLES = ("meta", "spells", "outbox", "open", "streams", "segments", "sqlite_sequence")
VALUES = (
    *(None, 0, -1, 2**62, -(2**63), 1e308, "", "x", "\x1b[31m", b"\xff\x00", "[" * 3000, "{}", "[]", "9" * 5000),
    *("1970-01-01T00:00:00.000Z", '{"source":"a"}', "NaN", "\ud7ff\u202e", "x" * 100_000),
)


@pytest.fixture
def original(tmp_path):
    """The bytes of a database with something in every table."""
    path = database_path(tmp_path / "original", "box")
    store = HistoryStore(path, "box", deliver=True)
    store.append([spell(genre, start_s=10 * i) for i, genre in enumerate(["rock", "jazz", None] * 20)], [spell("pop")])
    store.close()
    with sqlite3.connect(path) as db:
        vote = '{"segments": 3, "segment_hop": 1708}'
        db.execute(
            "INSERT INTO streams VALUES (1, 'mic', '2026-11-24T12:00:00.000Z', 'n', '1', '[\"a\"]', ?, 9)", (vote,)
        )
        db.execute("INSERT INTO segments VALUES (1, 1, 0, 9, 100, 0, 'a', x'0000803f', '{}')")
    db.close()
    return path.read_bytes()


def check(path, capsys, random_):
    """Run one command and open the file as the daemon does."""
    code = main([*random_.choice(COMMANDS), "--state", str(path.parent)])
    out, err = capsys.readouterr()
    assert code in (0, 1, 2)
    assert not any(c != "\n" and not c.isprintable() for c in out + err)
    try:
        store = HistoryStore(path, "box", deliver=True, posteriors=5)
        store.append([spell()], [])
        store.outbox_records(0, 100)
        store.prune(now_ms=2_000_000_000_000, keep_days=1, max_bytes=10**9)
        store.close()
    except (Damaged, Unavailable):
        pass


def fresh(tmp_path, number, content):
    path = database_path(tmp_path / str(number), "box")
    path.parent.mkdir()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("rounds", [40, pytest.param(600, marks=pytest.mark.slow)])
def test_wrong_bytes(tmp_path, original, capsys, rounds):
    random_ = random.Random(5)
    for number in range(rounds):
        data = bytearray(original)
        for _ in range(random_.choice((1, 5, 40))):
            data[random_.randrange(100 if random_.random() < 0.2 else len(data))] = random_.randrange(256)
        check(fresh(tmp_path, number, data), capsys, random_)


@pytest.mark.parametrize("rounds", [30, pytest.param(600, marks=pytest.mark.slow)])
def test_wrong_values(tmp_path, original, capsys, rounds):
    random_ = random.Random(6)
    for number in range(rounds):
        path = fresh(tmp_path, number, original)
        table = random_.choice(TABLES)
        db = sqlite3.connect(path)
        column = random_.choice([row[1] for row in db.execute(f"PRAGMA table_info({table})")] or ["seq"])
        try:
            with db:
                db.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (random_.choice(VALUES),))
        except sqlite3.Error:
            pass  # SQLite itself refuses it
        db.close()
        check(path, capsys, random_)


@pytest.mark.parametrize("rounds", [30, pytest.param(600, marks=pytest.mark.slow)])
def test_wrong_fields_of_a_record(tmp_path, original, capsys, rounds):
    random_ = random.Random(7)
    for number in range(rounds):
        path = fresh(tmp_path, number, original)
        table = random_.choice(("spells", "open"))
        value = random_.choice(
            ["null", "-1", "1e999", "1e300", '"x"', "[]", "{}", '"\\u001b[2J"', '"9999-12-31T23:59:59Z"']
        )
        db = sqlite3.connect(path)
        key = random_.choice(list(json.loads(db.execute("SELECT record FROM open").fetchone()[0])))
        with db:
            try:
                db.execute(f"UPDATE {table} SET record = json_set(record, ?, json(?))", (f"$.{key}", value))
            except sqlite3.Error:
                pass  # not JSON for this SQLite
        db.close()
        check(path, capsys, random_)

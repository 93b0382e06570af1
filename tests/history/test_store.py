"""The database: committed records survive, no `seq` is assigned twice, nothing grows without bound."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from tests.history.rig import NOON, spell

from genrewatch.history.chain import genesis, record_hash
from genrewatch.history.database import Damaged, Missing, Unavailable, database_path, open_for_reading
from genrewatch.history.store import HistoryStore

DAY_MS = 86_400_000
PLENTY = 10**9


def open_history(directory, **more):
    return HistoryStore(database_path(directory, "box"), "box", **{"deliver": True, **more})


def rows(directory, query="SELECT seq, record, prev, hash FROM spells ORDER BY seq"):
    db = open_for_reading(database_path(directory, "box"))
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def test_records_are_numbered_and_chained_in_order(tmp_path):
    store = open_history(tmp_path)
    store.append([spell("rock"), spell("jazz")], [])
    store.append([spell(None)], [])
    stored = rows(tmp_path)
    assert [seq for seq, *_ in stored] == [1, 2, 3]
    before = genesis("box", 1)
    for seq, record, prev, hash_ in stored:
        fields = json.loads(record)
        assert fields["seq"] == seq
        assert (prev, hash_) == (before, record_hash(before, fields))
        before = hash_
    assert (store.head, store.last_seq, store.stored, store.waiting) == (before, 3, 3, 3)
    store.close()


def test_a_hash_covers_every_field_but_the_hashes_and_backfilled():
    record = {"seq": 1, "genre": "rock", "votes": {"rock": 2}}
    made = record_hash("a", record)
    assert made != record_hash("b", record)
    assert made != record_hash("a", {**record, "genre": "jazz"})
    assert made != record_hash("a", {**record, "votes": {"rock": 3}})
    assert made == record_hash("a", {"votes": {"rock": 2}, **record, "prev": "x", "hash": "y", "backfilled": True})


def test_the_next_writer_continues_the_numbers_and_the_chain(tmp_path):
    store = open_history(tmp_path)
    store.append([spell(), spell()], [])
    head = store.head
    store.close()
    again = open_history(tmp_path)
    assert (again.head, again.last_seq, again.waiting) == (head, 2, 2)
    again.append([spell()], [])
    assert [row[0] for row in rows(tmp_path)] == [1, 2, 3]


def test_a_spell_that_was_open_when_the_writer_was_killed_becomes_an_interrupted_record(tmp_path):
    store = open_history(tmp_path)
    store.append([], [spell("rock"), spell("jazz", source="line", seconds=5)])
    store.append([spell("pop")], [spell("rock", seconds=99), spell("jazz", source="line", seconds=5)])
    del store
    again = open_history(tmp_path)
    records = [json.loads(record) for _, record, _, _ in rows(tmp_path)]
    assert [(r["genre"], r["interrupted"], r["heard_s"]) for r in records] == [
        ("pop", False, 10.0),
        ("jazz", True, 5.0),
        ("rock", True, 99.0),
    ]
    assert again.waiting == 3
    again.close()
    assert open_history(tmp_path).stored == 3, "once"


def test_a_failed_transaction_leaves_nothing_and_its_numbers_are_used_by_the_next(tmp_path):
    store = open_history(tmp_path, posteriors=0)
    store.append([spell("rock")], [])
    head = store.head
    bad = spell("jazz")
    bad.received_ms = float("nan")
    with pytest.raises(ValueError, match="Out of range"):
        store.append([spell("pop"), bad], [])
    assert (store.head, store.last_seq, store.stored, store.waiting) == (head, 1, 1, 1)
    store.append([spell("blues")], [])
    assert [json.loads(record)["genre"] for _, record, _, _ in rows(tmp_path)] == ["rock", "blues"]


def test_a_new_database_starts_after_every_number_that_a_lost_one_may_have_assigned(tmp_path):
    store = open_history(tmp_path)
    store.append([spell() for _ in range(1500)], [])
    store.close()
    database_path(tmp_path, "box").unlink()
    again = open_history(tmp_path)
    again.append([spell()], [])
    assert again.last_seq > 1500
    assert rows(tmp_path)[0][2] == genesis("box", again.last_seq)


def test_an_old_copy_is_detected_after_a_clean_stop_even_if_one_record_is_missing(tmp_path):
    store, path = open_history(tmp_path), database_path(tmp_path, "box")
    store.append([spell()], [])
    store.close()
    old = path.read_bytes()
    store = open_history(tmp_path)
    store.append([spell() for _ in range(30)], [])
    store.close()
    path.write_bytes(old)
    store = open_history(tmp_path)
    store.append([spell()], [])
    assert store.last_seq == 32


def test_an_old_copy_of_the_file_does_not_assign_numbers_again(tmp_path):
    store, path = open_history(tmp_path), database_path(tmp_path, "box")
    store.append([spell()], [])
    store.close()
    old = path.read_bytes()
    store = open_history(tmp_path)
    store.append([spell() for _ in range(2500)], [])
    store.close()
    path.write_bytes(old)
    store = open_history(tmp_path)
    store.append([spell()], [])
    assert store.last_seq > 2501
    first, second = rows(tmp_path)
    assert second[2] == first[3], "the chain goes on"


@pytest.mark.parametrize("damage", ["garbage", "truncated", "foreign", "flipped", "no outbox", "open", "utf-8"])
def test_a_damaged_or_foreign_file_is_distinguished_from_an_unavailable_one(tmp_path, damage):
    path = database_path(tmp_path, "box")
    store = open_history(tmp_path)
    store.append([spell() for _ in range(200)], [])
    store.close()
    if damage == "garbage":
        path.write_bytes(b"not a database, but long enough to be one " * 200)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:9000])
    elif damage == "flipped":
        data = bytearray(path.read_bytes())
        data[5 * 4096 : 5 * 4096 + 2000] = os.urandom(2000)
        path.write_bytes(data)
    else:
        with sqlite3.connect(path) as db:
            db.execute(
                {
                    "foreign": "UPDATE meta SET value = 'other' WHERE key = 'node'",
                    "no outbox": "DROP TABLE outbox",
                    "open": "INSERT INTO open VALUES ('mic', '{\"v\":1,', 0, 0)",
                    "utf-8": "UPDATE spells SET record = CAST(x'7bff7d' AS TEXT) WHERE seq = 1",
                }[damage]
            )
        db.close()
    with pytest.raises(Damaged):
        open_history(tmp_path).outbox_records(0, 10)


def test_a_read_only_directory_is_unavailable_and_not_damaged(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        open_history(tmp_path / "file" / "state")


def test_a_full_disk_is_unavailable_and_spells_can_be_stored_later(tmp_path):
    store = open_history(tmp_path)
    store.append([spell()], [])
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")  # makes SQLite report a full disk
    many = [spell() for _ in range(300)]
    with pytest.raises(Unavailable, match="full"):
        store.append(many, [])
    assert store.last_seq == 1
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.append(many, [])
    assert (store.last_seq, len(rows(tmp_path))) == (301, 301)


def test_deletion_of_the_open_file_is_detected(tmp_path):
    store = open_history(tmp_path)
    store.append([spell()], [])
    database_path(tmp_path, "box").unlink()
    with pytest.raises(Missing):
        store.append([spell()], [])


def test_a_delivered_record_leaves_the_outbox_and_stays_stored(tmp_path):
    store = open_history(tmp_path)
    store.append([spell("rock"), spell("jazz", source="line"), spell("pop")], [])
    outbox_records = store.outbox_records(1, 10)
    assert [(p.seq, p.source, p.record["genre"]) for p in outbox_records] == [(2, "line", "jazz"), (3, "mic", "pop")]
    assert outbox_records[1].record["prev"] == outbox_records[0].record["hash"]
    store.remove_delivered([1, 3])
    store.remove_delivered([3])
    assert (store.waiting, store.stored, store.newest_waiting) == (1, 3, 2)
    store.close()
    assert open_history(tmp_path).waiting == 1


def test_without_delivery_the_outbox_stays_empty(tmp_path):
    store = open_history(tmp_path, deliver=False)
    store.append([spell()], [spell()])
    store.close()
    again = open_history(tmp_path, deliver=False)
    assert (again.stored, again.waiting) == (2, 0)


def test_old_records_are_deleted_unless_they_are_in_the_outbox(tmp_path):
    store = open_history(tmp_path)
    store.append([spell(start_s=day * 86_400) for day in range(10)], [])
    store.remove_delivered([1, 2, 3, 5])
    more, dropped = store.prune(now_ms=NOON + 7 * DAY_MS, keep_days=1, max_bytes=PLENTY)
    assert (more, dropped) == (False, 0)
    assert [row[0] for row in rows(tmp_path)] == [4, 5, 6, 7, 8, 9, 10], "a chain has but one beginning"
    anchor = dict(rows(tmp_path, "SELECT key, value FROM meta"))["anchor"]
    assert rows(tmp_path)[0][2] == anchor


def test_above_the_size_limit_the_oldest_are_deleted_and_the_file_shrinks(tmp_path):
    store = open_history(tmp_path)
    for _ in range(10):
        store.append([spell() for _ in range(500)], [])
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before, dropped = database_path(tmp_path, "box").stat().st_size, 0
    for _ in range(40):
        dropped += store.prune(now_ms=NOON, keep_days=400, max_bytes=before // 2)[1]
    left = [row[0] for row in rows(tmp_path)]
    assert left == list(range(5001 - len(left), 5001))
    assert 0 < len(left) < 3000
    assert dropped == 5000 - len(left), "none had been delivered"
    store.close()
    assert database_path(tmp_path, "box").stat().st_size < 0.6 * before


WRITER = """
import sys
from itertools import pairwise
from pathlib import Path
from genrewatch.history.store import HistoryStore
from tests.history.rig import spell
store = HistoryStore(Path(sys.argv[1]), "box", deliver=True)
while True:
    store.append([spell(seconds=n + 1) for n in range(3)], [spell("open")])
    print(store.last_seq, store.head, flush=True)
"""


def test_committed_records_survive_a_kill_of_the_writer(tmp_path, rng):
    path, reported = database_path(tmp_path, "box"), {}
    for _ in range(8):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as writer:
            for _ in range(int(rng.integers(1, 40))):
                seq, head = writer.stdout.readline().split()
                reported[int(seq)] = head
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout:
                if line.count(" ") == 1 and line.endswith("\n"):
                    reported[int(line.split()[0])] = line.split()[1]
        stored = rows(tmp_path)
        hashes = {seq: hash_ for seq, _, _, hash_ in stored}
        assert reported.items() <= hashes.items()
        assert list(hashes) == list(range(1, len(hashes) + 1))
        for (_, _, _, hash_), (_, record, prev, following) in pairwise(stored):
            assert prev == hash_
            assert following == record_hash(prev, json.loads(record))

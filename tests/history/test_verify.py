"""`genrewatch history verify`: tampering is found, and normal events are no faults."""

import io
import json
import sqlite3
import sys

import pytest
from tests.history.rig import NOON, spell

from genrewatch.cli import main
from genrewatch.history.chain import record_hash
from genrewatch.history.database import database_path
from genrewatch.history.store import HistoryStore


@pytest.fixture
def path(tmp_path):
    """A closed database of six records."""
    found = database_path(tmp_path, "box")
    store = HistoryStore(found, "box", deliver=False)
    genres = ["rock", "jazz", None, "pop", "rock", "blues"]
    store.append([spell(genre, start_s=10 * i) for i, genre in enumerate(genres)], [])
    store.close()
    return found


@pytest.fixture
def tamper(path):
    """Run SQL on the database, as anyone with the file can."""

    def run(*statements):
        db = sqlite3.connect(path)
        for statement in statements:
            db.execute(*([statement] if isinstance(statement, str) else statement))
        db.commit()
        db.close()

    return run


def verified(capsys, path, code):
    assert main(["history", "verify", "--state", str(path.parent), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def printed(capsys, path):
    """The lines of `history --json`."""
    main(["history", "--state", str(path.parent), "--json"])
    return capsys.readouterr().out.splitlines()


def from_file(capsys, tmp_path, lines, code=0):
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines))
    assert main(["history", "verify", "--json", "--file", str(file)]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_untouched_history_is_intact(path, capsys):
    found = verified(capsys, path, 0)
    assert (found["node"], found["whole"], found["records"]) == ("box", True, 6)
    assert (found["start"], found["end"]) == ("2026-11-24T12:00:00.000Z", "2026-11-24T12:01:00.000Z")
    store = HistoryStore(path, "box", deliver=False)
    assert found["head"] == store.head
    store.close()
    assert main(["history", "--state", str(path.parent), "verify"]) == 0
    output = capsys.readouterr().out
    assert "box: 6 records, 1 to 6, 2026-11-24T12:00:00.000Z to 2026-11-24T12:01:00.000Z" in output
    assert f"head {found['head']}" in output


def test_a_history_is_intact_while_it_is_written_and_before_its_first_record(tmp_path, capsys):
    path = database_path(tmp_path, "box")
    store = HistoryStore(path, "box", deliver=False)
    assert verified(capsys, path, 0)["records"] == 0
    store.append([spell()], [spell("jazz")])
    assert verified(capsys, path, 0)["records"] == 1
    store.close()


def test_a_history_whose_oldest_records_were_pruned_is_intact(path, capsys):
    store = HistoryStore(path, "box", deliver=False)
    store.prune(now_ms=NOON + 86_400_000 + 35_000, keep_days=1, max_bytes=10**9)
    store.close()
    found = verified(capsys, path, 0)
    assert (found["records"], found["first_seq"]) == (3, 4)
    store = HistoryStore(path, "box", deliver=False)
    store.prune(now_ms=NOON + 10**10, keep_days=1, max_bytes=10**9)
    store.close()
    assert verified(capsys, path, 0)["records"] == 0


@pytest.mark.parametrize(
    ("change", "seq", "fault"),
    [
        (
            ["UPDATE spells SET record = replace(record, '\"pop\"', '\"jazz\"') WHERE seq = 4"],
            4,
            "its content does not match its hash",
        ),
        (
            ["UPDATE spells SET record = replace(record, '\"lost_s\":0.0', '\"lost_s\":1') WHERE seq = 1"],
            1,
            "its content does not",
        ),
        (["DELETE FROM spells WHERE seq IN (3, 4)"], 5, "the records between it and 2 were removed"),
        (["DELETE FROM spells WHERE seq = 1"], 2, "its prev is not the anchor of the history"),
        (["UPDATE spells SET prev = 'x' WHERE seq = 3"], 3, "its prev is not the hash of 2"),
        (["UPDATE spells SET source = 'line' WHERE seq = 3"], 3, "the columns source, start_ms or end_ms differ"),
        (["UPDATE spells SET end_ms = 0 WHERE seq = 3"], 3, "the columns source, start_ms or end_ms differ"),
        (["UPDATE spells SET record = 'rubbish' WHERE seq = 2"], 2, "stored as 2, but"),
        (["DELETE FROM spells WHERE seq > 4"], None, "the last seq assigned is 6, the last record is 4"),
        (["DELETE FROM spells"], None, "the last seq assigned is 6, the last record is 0"),
        (["UPDATE spells SET start_ms = 'soon' WHERE seq = 3"], 3, "the columns source, start_ms or end_ms differ"),
        (["UPDATE spells SET record = '{}' WHERE seq = 2"], 2, "stored as 2, but"),
        (["UPDATE meta SET value = 'x' WHERE key = 'first_seq'"], None, "the table meta was changed"),
        (["DELETE FROM meta"], None, "the table meta lacks anchor, first_seq, node"),
    ],
)
def test_changed_removed_and_cut_off_records_are_found(path, tamper, capsys, change, seq, fault):
    tamper(*change)
    found = verified(capsys, path, 1)
    assert (found["whole"], found["wrong_seq"]) == (False, seq)
    assert fault in found["wrong"]
    assert main(["history", "verify", "--state", str(path.parent)]) == 1
    assert "NOT INTACT: " + (f"record {seq}: " if seq else "") in capsys.readouterr().out


def test_two_swapped_records_are_found(path, tamper, capsys):
    columns = "source, start_ms, end_ms, record, prev, hash"
    tamper(
        f"CREATE TEMP TABLE held AS SELECT seq, {columns} FROM spells WHERE seq IN (3, 4)",
        *(
            f"UPDATE spells SET ({columns}) = (SELECT {columns} FROM held WHERE seq = {other}) WHERE seq = {seq}"
            for seq, other in ((3, 4), (4, 3))
        ),
    )
    found = verified(capsys, path, 1)
    assert (found["records"], found["wrong_seq"]) == (2, 3)
    assert found["wrong"] == "stored as 3, but its content is that of 4"


def test_swapped_records_whose_numbers_were_changed_too_are_found(path, tamper, capsys):
    tamper("UPDATE spells SET record = replace(record, '\"seq\":3', '\"seq\":4') WHERE seq = 3")
    assert verified(capsys, path, 1)["wrong_seq"] == 3


def forged(path, prev=None):
    """A statement that inserts a consistent seventh record; `prev` is the hash of the sixth by default."""
    db = sqlite3.connect(path)
    record, head = db.execute("SELECT record, hash FROM spells WHERE seq = 6").fetchone()
    db.close()
    record, prev = {**json.loads(record), "seq": 7, "genre": "forged"}, prev or head
    return (
        "INSERT INTO spells SELECT 7, source, start_ms, end_ms, ?, ?, ? FROM spells WHERE seq = 6",
        (json.dumps(record), prev, record_hash(prev, record)),
    )


def test_a_forged_record_without_a_predecessor_is_found(path, tamper, capsys):
    tamper(forged(path, prev="f" * 64))
    found = verified(capsys, path, 1)
    assert (found["wrong_seq"], found["records"]) == (7, 6)
    assert "its prev is not the hash of 6" in found["wrong"]


def test_a_forged_record_with_the_right_prev_changes_the_head(path, tamper, capsys):
    before = verified(capsys, path, 0)["head"]
    tamper(forged(path))
    assert verified(capsys, path, 0)["head"] != before  # so the head should be noted elsewhere


def test_a_record_and_its_hash_changed_together_is_found_at_the_next(path, tamper, capsys):
    db = sqlite3.connect(path)
    record, prev = db.execute("SELECT record, prev FROM spells WHERE seq = 3").fetchone()
    db.close()
    record = {**json.loads(record), "genre": "jazz"}
    change = "UPDATE spells SET record = ?, hash = ? WHERE seq = 3"
    tamper((change, (json.dumps(record), record_hash(prev, record))))
    found = verified(capsys, path, 1)
    assert found["wrong_seq"] == 4
    assert "its prev is not the hash of 3: one of the two was changed" in found["wrong"]


def test_a_history_of_another_node_under_this_name_is_found(path, tamper, capsys):
    tamper("UPDATE meta SET value = 'attic' WHERE key = 'node'")
    assert "a record of node box, not of attic" in verified(capsys, path, 1)["wrong"]


def test_a_damaged_file_and_one_that_is_not_a_database_are_not_intact(path, capsys):
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 8192 + whole[12_288:])
    assert "the file is damaged" in verified(capsys, path, 1)["wrong"]
    path.write_bytes(b"rubbish" * 1000)
    assert "the file is damaged: file is not a database" in verified(capsys, path, 1)["wrong"]


def test_numbers_skipped_after_an_older_copy_are_gaps_and_no_fault(path, capsys):
    path.with_suffix(".seq").write_text("5000\n")
    store = HistoryStore(path, "box", deliver=False)
    store.append([spell()], [])
    store.close()
    found = verified(capsys, path, 0)
    assert (found["whole"], found["records"], found["gaps"]) == (True, 7, [[7, 5000]])


def test_damage_outside_the_records_is_found(path, capsys):
    db = sqlite3.connect(path)
    (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'spells_end'").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with path.open("r+b") as file:
        file.seek(page * size - 20)
        file.write(bytes(20))
    assert main(["history", "--state", str(path.parent)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
    found = verified(capsys, path, 1)
    assert (found["wrong_seq"], found["records"]) == (None, 0)
    assert found["wrong"].startswith("the file is damaged: ")


def test_printed_records_are_checked_from_a_file_and_from_standard_input(path, tmp_path, capsys, monkeypatch):
    lines = printed(capsys, path)
    (found,) = from_file(capsys, tmp_path, lines)
    assert (found["node"], found["whole"], found["records"], found["gaps"]) == ("box", True, 6, [])
    assert found["head"] == json.loads(lines[-1])["hash"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines)))
    assert main(["history", "verify", "--file", "-"]) == 0
    assert "box: 6 records, 1 to 6" in capsys.readouterr().out


def test_missing_records_are_gaps_and_later_ones_are_still_checked(path, tmp_path, capsys):
    lines = printed(capsys, path)
    (found,) = from_file(capsys, tmp_path, [*lines[:1], *lines[2:3], *lines[5:]])
    assert (found["whole"], found["gaps"]) == (True, [[2, 2], [4, 5]])
    changed = lines[5].replace("blues", "pop")
    (found,) = from_file(capsys, tmp_path, [*lines[:1], *lines[2:3], changed], code=1)
    assert found["wrong_seq"] == 6


def test_records_out_of_order_repeated_and_with_topics_are_intact(path, tmp_path, capsys):
    lines = printed(capsys, path)
    late = json.dumps({**json.loads(lines[1]), "backfilled": True})
    delivered = [f"genrewatch/box/mic/history {line}" for line in (*lines[2:], late, lines[0], lines[1])]
    (found,) = from_file(capsys, tmp_path, ["genrewatch/box/status online", *delivered])
    assert (found["whole"], found["records"], found["gaps"]) == (True, 6, [])


def test_each_node_is_checked_separately(path, tmp_path, capsys):
    lines = printed(capsys, path)
    attic = HistoryStore(database_path(tmp_path / "attic", "attic"), "attic", deliver=False)
    other = spell()
    other.context = type(other.context)(**{**vars(other.context), "node": "attic"})
    attic.append([other], [])
    attic.close()
    both = [lines[0], *printed(capsys, database_path(tmp_path / "attic", "attic")), *lines[1:]]
    assert [(found["node"], found["records"]) for found in from_file(capsys, tmp_path, both)] == [
        ("box", 6),
        ("attic", 1),
    ]


@pytest.mark.parametrize("field", ["genre", "start", "seq", "prev", "hash", "votes", "node"])
def test_a_printed_record_with_any_field_changed_is_found(path, tmp_path, capsys, field):
    lines = printed(capsys, path)
    record = json.loads(lines[2])
    record[field] = 4 if field == "seq" else f"{record[field]}x"
    found = from_file(capsys, tmp_path, [*lines[:2], json.dumps(record), *lines[3:]], code=1)
    assert any(one["wrong"] for one in found)


def test_a_new_database_that_continues_the_numbers_is_reported_as_a_new_chain(path, tmp_path, capsys):
    lines = printed(capsys, path)
    path.unlink()
    path.with_suffix(".seq").write_text("6\n")
    store = HistoryStore(path, "box", deliver=False)
    store.append([spell()], [])
    store.close()
    (found,) = from_file(capsys, tmp_path, [*lines, *printed(capsys, path)])
    assert (found["whole"], found["begun_anew"], found["records"]) == (True, [7], 7)


def test_an_open_spell_is_not_a_record_and_a_file_without_records_is_an_error(path, tmp_path, capsys):
    store = HistoryStore(path, "box", deliver=False)
    store.append([], [spell("pop")])
    (found,) = from_file(capsys, tmp_path, printed(capsys, path))
    store.close()
    assert found["records"] == 6
    for text in ("", "online\n", '{"genre": "rock"}\n', "[1]\n", "{" * 9000):
        (tmp_path / "none").write_text(text)
        assert main(["history", "verify", "--file", str(tmp_path / "none")]) == 2
        assert "no records in it, expected JSON lines" in capsys.readouterr().err
    assert main(["history", "verify", "--file", str(tmp_path / "absent")]) == 2
    assert "no such file or directory" in capsys.readouterr().err
    assert main(["history", "verify", "--file", "-", "--node", "box"]) == 2
    assert "--file: found with --node or --state" in capsys.readouterr().err

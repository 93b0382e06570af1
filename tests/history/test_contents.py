"""Contents that genrewatch never wrote: the daemon moves the file aside and goes on; a command prints one line."""

import json
import os
import sqlite3

import pytest
from tests.history.rig import spell
from tests.history.test_writer import facts, pipeline, play, records, started, until  # noqa: F401
from tests.sinks.mqtt_rig import JAZZ, ROCK

from genrewatch.cli import main
from genrewatch.history import damaged_files, writer
from genrewatch.history.database import Damaged, NewerFormat, database_path
from genrewatch.history.store import HistoryStore

DAMAGE = {
    "no sequence": "DELETE FROM sqlite_sequence",
    "low sequence": "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'spells'",
    "full sequence": "UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'spells'",
    "text sequence": "UPDATE sqlite_sequence SET seq = 'many' WHERE name = 'spells'",
    "text time": "UPDATE spells SET end_ms = 'soon' WHERE seq = 2",
    "blob": "UPDATE spells SET record = x'00ff' WHERE seq = 2",
    "broken JSON": "UPDATE spells SET record = '{\"v\":1,' WHERE seq = 2",
    "no meta": "DELETE FROM meta WHERE key = 'anchor'",
    "trigger": "CREATE TRIGGER t AFTER INSERT ON spells BEGIN DELETE FROM spells; END",
    "view": "DROP TABLE segments; CREATE VIEW segments AS SELECT 1 AS segment",
    "other column": "DROP TABLE outbox; CREATE TABLE outbox (seq TEXT PRIMARY KEY)",
    "huge value": "UPDATE spells SET record = zeroblob(2000000) WHERE seq = 2",
    "deep JSON": "INSERT INTO open VALUES ('mic', replace(hex(zeroblob(5000)), '00', '['), 0, 0)",
    "open spell": "INSERT INTO open VALUES ('mic', '{\"source\": 1}', 0, 0)",
    "outbox": "INSERT INTO outbox VALUES (77)",
    "last segment": "INSERT INTO segments VALUES (9223372036854775807, 1, 0, 0, 0, 0, '', NULL, '')",
}


@pytest.fixture
def path(tmp_path):
    """A closed database of three records."""
    found = database_path(tmp_path / "state", "box")
    store = HistoryStore(found, "box", deliver=True)
    store.append([spell("rock"), spell("jazz", start_s=10), spell(None, start_s=20)], [])
    store.close()
    return found


def change(path, statements, *values):
    db = sqlite3.connect(path)
    if values:
        db.execute(statements, values)
    else:
        db.executescript(statements)
    db.commit()
    db.close()


def lines_of(capsys, *argv):
    """Run a command; return its exit code and its lines, which hold no control character."""
    code = main([str(arg) for arg in argv])
    out, err = capsys.readouterr()
    assert not any(c != "\n" and not c.isprintable() for c in out + err)
    assert "Traceback" not in err
    return code, (out + err).splitlines()


@pytest.mark.parametrize("damage", DAMAGE)
def test_wrong_contents_are_damage_when_the_daemon_opens_them(path, damage):
    change(path, DAMAGE[damage])
    with pytest.raises(Damaged):
        HistoryStore(path, "box", deliver=True, posteriors=10)


def test_the_daemon_moves_them_aside_says_so_once_and_goes_on(path, pipeline, caplog):  # noqa: F811
    change(path, DAMAGE["no sequence"])
    sink = started(path, pipeline)
    play(sink, ROCK, JAZZ)
    until(lambda: facts(sink)["set_aside"] and records(path))
    assert [r["genre"] for r in records(path)] == ["rock"]
    assert len(sink.problems()) == 1
    assert "sqlite_sequence was changed" in sink.problems()[0]
    assert "moved to history-box.damaged-" in sink.problems()[0]
    sink.flush()
    assert len(caplog.records) == 1


def test_a_trigger_that_is_added_while_the_daemon_runs_is_noticed_with_the_next_spell(path, pipeline):  # noqa: F811
    sink = started(path, pipeline)
    play(sink, ROCK, JAZZ)
    until(lambda: len(records(path)) == 4)
    change(path, DAMAGE["trigger"])
    play(sink, ROCK, from_s=10)
    until(lambda: facts(sink)["set_aside"])
    until(lambda: [r["genre"] for r in records(path)] == ["jazz"])
    sink.flush()


def test_a_disk_that_damages_each_new_database_is_not_filled_with_them(path, pipeline, monkeypatch):  # noqa: F811
    def damaged(*_, **__):
        raise Damaged("rubbish")

    monkeypatch.setattr(writer, "RETRY_S", 0.05)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(HistoryStore, "append", damaged)
        sink = started(path, pipeline)
        play(sink, ROCK, JAZZ)
        until(lambda: any("damaged again" in problem for problem in sink.problems()))
        assert len(list(path.parent.glob("*.damaged-*.db"))) == damaged_files.MAX_DAMAGED
    until(lambda: [r["genre"] for r in records(path)] == ["rock"])
    sink.flush()


def test_a_newer_format_is_left_alone_and_reported(path, pipeline, caplog, monkeypatch):  # noqa: F811
    monkeypatch.setattr(writer, "RETRY_S", 0.05)
    change(path, "PRAGMA user_version = 2")
    before = path.read_bytes()
    with pytest.raises(NewerFormat):
        HistoryStore(path, "box", deliver=True)
    sink = started(path, pipeline)
    play(sink, ROCK, JAZZ)
    until(lambda: sink.problems())
    assert "written by a newer version of genrewatch: format 2" in sink.problems()[0]
    play(sink, ROCK, JAZZ, from_s=20)
    sink.flush()
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.damaged*"))
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "command", [["history"], ["history", "verify"], ["report"], ["replay"], ["history", "--follow"]]
)
def test_a_command_prints_one_line_about_a_newer_format_and_exits_with_2(path, capsys, command):
    change(path, "PRAGMA user_version = 2")
    code, lines = lines_of(capsys, *command, "--state", path.parent)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].endswith("written by a newer version of genrewatch (format 2), expected format 1: update it")


@pytest.mark.parametrize("command", [["history"], ["history", "--csv"], ["history", "verify"], ["report"], ["replay"]])
@pytest.mark.parametrize("damage", DAMAGE)
def test_no_contents_make_a_command_print_a_traceback(path, capsys, command, damage):
    change(path, DAMAGE[damage])
    code, _ = lines_of(capsys, *command, "--state", path.parent)
    assert code in (0, 1, 2)


@pytest.mark.parametrize(
    "command",
    [
        *(
            ["history"],
            ["history", "--json"],
            ["history", "--csv"],
            ["history", "verify"],
            ["history", "verify", "--json"],
        ),
        *(["report", "--by", "source"], ["report", "--json"], ["report", "--csv", "--by", "source"], ["replay"]),
        ["history", "--source", "nowhere"],
    ],
)
def test_terminal_escape_sequences_of_a_database_are_cleaned(path, capsys, command):
    escape = "\x1b]0;owned\x07\x9b31m\x7f\u202e"
    for seq in (1, 2, 3):
        db = sqlite3.connect(path)
        record = json.loads(db.execute("SELECT record FROM spells WHERE seq = ?", (seq,)).fetchone()[0])
        db.close()
        record |= {"source": escape, "name": escape, "genre": escape, "votes": {escape: 1}, "model": escape}
        change(path, "UPDATE spells SET record = ?, source = ? WHERE seq = ?", json.dumps(record), escape, seq)
    change(path, "INSERT INTO streams VALUES (1, ?, 'x', 'x', 'x', '[]', '{}', 1)", escape)
    change(path, "UPDATE meta SET value = ? WHERE key = 'node'", escape)
    lines_of(capsys, *command, "--state", path.parent)


def test_terminal_escape_sequences_of_a_file_of_records_are_cleaned(tmp_path, capsys):
    record = {"seq": 1, "node": "\x1b[2Jbox\ud800", "prev": "\x1b[2J", "hash": "x", "start": "\x1b[2J"}
    file = tmp_path / "records.jsonl"
    file.write_text(json.dumps(record) + "\n" + '{"seq":' + "[" * 2_000_000 + "\n" + json.dumps({**record, "seq": 2}))
    for form in ([], ["--json"]):
        code, _ = lines_of(capsys, "history", "verify", "--file", file, *form)
        assert code == 1


@pytest.mark.parametrize("command", [["replay"], ["history", "--state"]])
def test_a_fifo_in_the_place_of_a_database_is_not_waited_for(tmp_path, capsys, command):
    os.mkfifo(tmp_path / "history-box.db")
    where = tmp_path / "history-box.db" if command == ["replay"] else tmp_path
    code, lines = lines_of(capsys, *command, where)
    assert (code, len(lines)) == (2, 1)
    assert "not a regular file" in lines[0]


def test_a_number_beyond_all_limits_in_the_file_of_numbers_is_ignored(tmp_path):
    path = database_path(tmp_path, "box")
    path.with_suffix(".seq").write_text("9" * 30)
    store = HistoryStore(path, "box", deliver=False)
    store.append([spell()], [])
    assert store.last_seq == 1
    store.close()

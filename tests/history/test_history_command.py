"""`genrewatch history`: databases that the real store writes, read by the command beside it."""

import csv
import io
import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.history.rig import NOON, spell

from genrewatch.cli import main
from genrewatch.commands.time_argument import parse_time
from genrewatch.history.database import database_path
from genrewatch.history.store import HistoryStore
from genrewatch.host.times import Timestamp, now, rfc3339_to_ms

LONGEST_S = 60.0


@pytest.fixture(autouse=True)
def berlin(monkeypatch, tmp_path):
    """A box in Berlin (UTC+1 in November) whose state directory is `tmp_path`."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    monkeypatch.setenv("GENREWATCH_STATE", str(tmp_path))
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def store(tmp_path):
    made = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    yield made
    made.close()


def told(capsys, *arguments, code=0):
    assert main(["history", *arguments]) == code
    return capsys.readouterr().out.splitlines()


def refused(capsys, *arguments):
    assert main(["history", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def seqs(lines):
    return [json.loads(line)["seq"] for line in lines]


def test_people_read_a_line_a_spell_oldest_first_and_the_one_that_lasts_at_the_end(store, capsys):
    rock = replace(spell("rock", seconds=754), segments=2, shares=1.5, confident=2, confidences=1.3)
    rock.votes.update({"jazz": 1, "rock": 3})
    at = now()
    open_one = replace(spell(None, source="line"), start=at, end=at)
    store.append([rock, spell("jazz", source="a_longer_name")], [open_one])
    first, second, last = told(capsys)
    assert first == (
        "2026-11-24 13:00:00  mic            rock              0:12:34   75 %  confidence 0.65  rock 3 jazz 1"
    )
    assert second.startswith("2026-11-24 13:00:00  a_longer_name  jazz              0:00:10")
    assert "line           (refused)         0:00:10" in last
    assert last.endswith("[now]")


def test_what_is_odd_about_a_spell_is_marked(store, capsys):
    odd = replace(spell(), lost_ms=3250, clock_step_s=3600.0, continues=True)
    silent = spell(None)
    silent.subject = replace(silent.subject, reason="silence", dead_air=True)
    stalled = replace(spell(None), heard_ms=0, lost_ms=10_000)
    stalled.subject = replace(stalled.subject, reason="stalled")
    long_ago = Timestamp(utc_ms=rfc3339_to_ms("2020-01-01T12:00:10Z"), mono_s=10.0)
    store.append([odd, silent, stalled], [replace(spell("pop"), start=long_ago, end=long_ago)])
    lines = told(capsys)
    assert lines[0].endswith("[lost 3.2 s, continues, clock set by +3600 s]")
    assert "(silence)" in lines[1]
    assert lines[1].endswith("[DEAD AIR]")
    assert "(stalled)" in lines[2]
    assert "[" not in lines[2]  # that all of it is lost is what stalled says
    assert lines[3].endswith("[open when saved at 13:00:10]")


def test_what_a_killed_daemon_left_open_is_marked_interrupted(store, tmp_path, capsys):
    store.append([], [spell("rock")])
    store.close()
    HistoryStore(database_path(tmp_path, "box"), "box", deliver=False).close()
    (line,) = told(capsys)
    assert line.endswith("[interrupted]")


def test_json_lines_are_the_stored_records_with_their_hashes_and_the_open_one_has_none(store, capsys):
    store.append([spell("rock"), spell("neue Volksmusik é")], [spell("pop")])
    first, second, last = (json.loads(line) for line in told(capsys, "--json"))
    assert first == {**spell("rock").body(), "seq": 1, "prev": first["prev"], "hash": second["prev"]}
    assert (second["genre"], second["hash"]) == ("neue Volksmusik é", store.head)
    assert last == {**spell("pop").body(), "open": True}


def test_csv_has_a_header_and_every_field_of_a_record(store, capsys):
    store.append([spell("rock"), spell(None)], [spell("pop")])
    rows = list(csv.DictReader(io.StringIO("\n".join(told(capsys, "--csv")))))
    assert set(rows[0]) == {*spell().body(), "seq", "prev", "hash", "open"}
    assert [(row["seq"], row["genre"], row["open"]) for row in rows] == [
        ("1", "rock", ""),
        ("2", "", ""),
        ("", "pop", "true"),
    ]
    assert (rows[0]["heard_s"], rows[0]["dead_air"], rows[0]["votes"]) == ("10.0", "false", "{}")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--since", "2026-11-24T13:00:15+01:00"], [2, 3]),
        (["--since", "2026-11-24 13:00:20"], [3]),
        (["--until", "2026-11-24T12:00:20Z"], [1, 2]),
        (["--since", "2026-11-24 13:00:05", "--until", "2026-11-24 13:00:06"], [1]),
        (["--since", "2026-11-24", "--until", "2026-11-25"], [1, 2, 3]),
        (["--until", "2026-11-24"], []),
        (["--source", "line"], [2]),
        (["--source", "line", "--source", "mic"], [1, 2, 3]),
    ],
)
def test_a_spell_is_in_the_range_if_any_part_of_it_is(store, capsys, arguments, expected):
    store.append([spell(), spell(start_s=10, source="line"), spell(start_s=20)], [])
    assert seqs(told(capsys, "--json", *arguments)) == expected


def test_more_records_than_one_look_takes_come_all_once_and_in_order(store, capsys):
    store.append([spell(start_s=s) for s in range(2345)], [])
    assert seqs(told(capsys, "--json")) == list(range(1, 2346))


def test_how_long_ago_is_counted_back_from_now():
    assert parse_time("2h", "--since", NOON) == NOON - 7_200_000
    assert parse_time("1.5 h ago", "--since", NOON) == NOON - 5_400_000
    assert parse_time("30min", "--since", NOON) == NOON - 1_800_000
    assert parse_time("3d", "--since", NOON) == NOON - 3 * 86_400_000


@pytest.mark.parametrize("text", ["soon", "", "2026-13-01", "24.11.2026", "5 parsecs", "-2h", "99999999999d", "1e9h"])
def test_a_wrong_time_is_one_line_and_exit_code_2(store, capsys, text):
    line = refused(capsys, f"--since={text}")
    assert line.startswith(f"genrewatch: --since: found {text!r}, expected a time: 2026-11-24, ")


def test_a_range_that_ends_before_it_begins_is_refused(store, capsys):
    line = refused(capsys, "--since", "2026-11-25", "--until", "2026-11-24")
    assert line == "genrewatch: --until: found 2026-11-24 00:00:00, expected a time after 2026-11-25 00:00:00"


def test_without_a_history_it_says_where_it_looked_and_who_makes_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("genrewatch.history.reading.SERVICE_STATE", tmp_path / "no service")
    for place in (tmp_path, tmp_path / "nowhere"):
        line = refused(capsys, "--state", str(place))
        assert line == f"genrewatch: {place}: no history-NODE.db here, expected one, which `genrewatch listen` makes"


def test_whoever_forgets_where_the_service_keeps_its_history_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("genrewatch.history.reading.SERVICE_STATE", tmp_path)
    monkeypatch.setenv("GENREWATCH_STATE", str(tmp_path / "mine"))
    assert refused(capsys).endswith(f"no history-NODE.db here, expected --state {tmp_path} (perhaps with sudo)")


def test_of_several_nodes_one_must_be_named_and_a_database_set_aside_is_no_node(store, tmp_path, capsys):
    store.append([spell()], [])
    (tmp_path / "history-box.damaged-2026-11-24T120000Z.db").write_bytes(b"rubbish")
    assert len(told(capsys)) == 1
    HistoryStore(database_path(tmp_path, "attic"), "attic", deliver=False).close()
    assert refused(capsys).endswith(f"--node: several histories in {tmp_path}, expected one of attic, box")
    assert len(told(capsys, "--node", "box")) == 1
    assert refused(capsys, "--node", "bax").endswith("expected one of attic, box")


def test_nothing_found_is_said_and_is_no_error(store, capsys):
    store.append([spell()], [])
    assert main(["history", "--source", "mik"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith("there are some of mic\n")


def test_a_file_that_is_no_database_is_one_line_and_exit_code_2(tmp_path, capsys):
    database_path(tmp_path, "box").write_bytes(b"this is text, and long enough to be read" * 99)
    line = refused(capsys)
    assert f"{database_path(tmp_path, 'box')}: is damaged (file is not a database)" in line


@pytest.mark.parametrize("record", ["rubbish", "[]", '{"source": "mic"}'])
def test_a_record_that_somebody_spoilt_is_one_line_and_exit_code_2(store, tmp_path, capsys, record):
    store.append([spell()], [])
    db = sqlite3.connect(database_path(tmp_path, "box"))
    db.execute("UPDATE spells SET record = ?", (record,))
    db.commit()
    db.close()
    assert "is damaged (a record " in refused(capsys)


@contextmanager
def following(*arguments):
    """`history --follow` in a process of its own: a queue of its lines, and the process, interrupted at the end."""
    command = [sys.executable, "-m", "genrewatch", "history", "--follow", "--json", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    lines: queue.Queue[int] = queue.Queue()
    reader = threading.Thread(target=lambda: [lines.put(json.loads(line)["seq"]) for line in process.stdout])
    reader.start()
    try:
        yield lambda count: [lines.get(timeout=LONGEST_S) for _ in range(count)], process
    finally:
        process.kill()
        reader.join()
        process.stdout.close()
        process.stderr.close()
        process.wait()


def test_follow_begins_with_the_latest_and_goes_on_with_each_that_ends_until_it_is_interrupted(store):
    store.append([spell() for _ in range(12)], [spell("pop")])
    with following() as (take, process):
        assert take(10) == list(range(3, 13))
        store.append([spell()], [])
        assert take(1) == [13]
        store.append([spell(), spell()], [])
        assert take(2) == [14, 15]
        process.send_signal(signal.SIGINT)
        assert process.wait(LONGEST_S) == 0
        assert process.stderr.read() == ""


def test_follow_stays_when_the_database_is_set_aside_and_a_new_one_begun(store, tmp_path):
    store.append([spell(), spell()], [])
    path = database_path(tmp_path, "box")
    with following("--since", "2026-11-24") as (take, process):
        assert take(2) == [1, 2]
        store.append([spell()], [])
        path.rename(tmp_path / "history-box.damaged-x.db")
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).rename(tmp_path / f"history-box.damaged-x.db{suffix}")
        again = HistoryStore(path, "box", deliver=False)
        again.append([spell()], [])
        assert take(2) == [3, 1002]
        again.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(LONGEST_S) == 0


def test_follow_does_not_spin_while_nothing_happens(store):
    store.append([spell()], [])
    with following() as (take, process):
        take(1)
        before = busy_s(process.pid)
        time.sleep(2)
        assert busy_s(process.pid) - before < 0.5


def busy_s(pid):
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

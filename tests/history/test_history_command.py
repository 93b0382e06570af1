"""`genrewatch history`: the command reads databases while the real store has them open."""

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
from genrewatch.history.database import database_path
from genrewatch.history.store import HistoryStore
from genrewatch.history.time_text import parse_time
from genrewatch.host.times import Timestamp, now, rfc3339_to_ms

LONGEST_S = 60.0
pytestmark = pytest.mark.usefixtures("berlin")


@pytest.fixture
def store(tmp_path):
    made = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    yield made
    made.close()


def printed(capsys, *arguments, code=0):
    assert main(["history", *arguments]) == code
    return capsys.readouterr().out.splitlines()


def error_line(capsys, *arguments):
    assert main(["history", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def seqs(lines):
    return [json.loads(line)["seq"] for line in lines]


def test_spells_are_lines_oldest_first_with_open_spells_at_the_end(store, capsys):
    rock = replace(spell("rock", seconds=754), segments=2, share_sum=1.5, confidence_count=2, confidence_sum=1.3)
    rock.votes.update({"jazz": 1, "rock": 3})
    at = now()
    open_one = replace(spell(None, source="line"), start=at, end=at)
    store.append([rock, spell("jazz", source="a_longer_name")], [open_one])
    first, second, last = printed(capsys)
    assert first == (
        "2026-11-24 13:00:00  mic            rock              0:12:34   75 %  confidence 0.65  rock 3 jazz 1"
    )
    assert second.startswith("2026-11-24 13:00:00  a_longer_name  jazz              0:00:10")
    assert "line           (refused)         0:00:10" in last
    assert last.endswith("[now]")


def test_lost_sound_dead_air_clock_steps_and_old_open_spells_are_noted(store, capsys):
    odd = replace(spell(), lost_ms=3250, clock_step_s=3600.0, continues=True)
    silent = spell(None)
    silent.key = replace(silent.key, reason="silence", dead_air=True)
    stalled = replace(spell(None), received_ms=0, lost_ms=10_000)
    stalled.key = replace(stalled.key, reason="stalled")
    long_ago = Timestamp(utc_ms=rfc3339_to_ms("2025-02-01T12:00:10Z"), mono_s=10.0)
    store.append([odd, silent, stalled], [replace(spell("pop"), start=long_ago, end=long_ago)])
    lines = printed(capsys)
    assert lines[0].endswith("[lost 3.2 s, continues, clock set by +3600 s]")
    assert "(silence)" in lines[1]
    assert lines[1].endswith("[DEAD AIR]")
    assert "(stalled)" in lines[2]
    assert "[" not in lines[2]  # `stalled` already means that all sound is lost
    assert lines[3].endswith("[open when saved at 13:00:10]")


def test_a_spell_that_a_killed_daemon_left_open_is_marked_interrupted(store, tmp_path, capsys):
    store.append([], [spell("rock")])
    store.close()
    HistoryStore(database_path(tmp_path, "box"), "box", deliver=False).close()
    (line,) = printed(capsys)
    assert line.endswith("[interrupted]")


def test_json_lines_are_the_stored_records_and_only_open_ones_lack_hashes(store, capsys):
    store.append([spell("rock"), spell("neue Volksmusik é")], [spell("pop")])
    first, second, last = (json.loads(line) for line in printed(capsys, "--json"))
    assert first == {**spell("rock").fields(), "seq": 1, "prev": first["prev"], "hash": second["prev"]}
    assert (second["genre"], second["hash"]) == ("neue Volksmusik é", store.head)
    assert last == {**spell("pop").fields(), "open": True}


def test_csv_has_a_header_and_every_field_of_a_record(store, capsys):
    store.append([spell("rock"), spell(None)], [spell("pop")])
    rows = list(csv.DictReader(io.StringIO("\n".join(printed(capsys, "--csv")))))
    assert set(rows[0]) == {*spell().fields(), "seq", "prev", "hash", "open"}
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
    assert seqs(printed(capsys, "--json", *arguments)) == expected


def test_more_records_than_a_page_are_printed_once_and_in_order(store, capsys):
    store.append([spell(start_s=s) for s in range(2345)], [])
    assert seqs(printed(capsys, "--json")) == list(range(1, 2346))


def test_a_time_ago_is_subtracted_from_now():
    assert parse_time("2h", "--since", NOON) == NOON - 7_200_000
    assert parse_time("1.5 h ago", "--since", NOON) == NOON - 5_400_000
    assert parse_time("30min", "--since", NOON) == NOON - 1_800_000
    assert parse_time("3d", "--since", NOON) == NOON - 3 * 86_400_000


@pytest.mark.parametrize("text", ["soon", "", "2026-13-01", "24.11.2026", "5 parsecs", "-2h", "99999999999d", "1e9h"])
def test_a_wrong_time_is_one_line_and_exit_code_2(store, capsys, text):
    line = error_line(capsys, f"--since={text}")
    assert line.startswith(f"genrewatch: --since: found {text!r}, expected a time: 2026-11-24, ")


def test_a_range_that_ends_before_it_starts_is_an_error(store, capsys):
    line = error_line(capsys, "--since", "2026-11-25", "--until", "2026-11-24")
    assert line == "genrewatch: --until: found 2026-11-24 00:00:00, expected a time after 2026-11-25 00:00:00"


def test_without_a_history_the_error_names_the_directory_and_the_command_that_creates_one(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("genrewatch.history.locate.SERVICE_STATE", tmp_path / "no service")
    for place in (tmp_path, tmp_path / "nowhere"):
        line = error_line(capsys, "--state", str(place))
        assert line == f"genrewatch: {place}: no history-NODE.db here, expected one created by `genrewatch listen`"


def test_the_error_names_the_state_directory_of_the_service_if_there_is_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("genrewatch.history.locate.SERVICE_STATE", tmp_path)
    monkeypatch.setenv("GENREWATCH_STATE", str(tmp_path / "mine"))
    assert error_line(capsys).endswith(f"no history-NODE.db here, expected --state {tmp_path} (perhaps with sudo)")


def test_with_several_nodes_this_machines_own_is_read_or_one_must_be_named_and_a_database_moved_aside_is_not_a_node(
    store, tmp_path, capsys
):
    store.append([spell()], [])
    (tmp_path / "history-box.damaged-2026-11-24T120000Z.db").write_bytes(b"rubbish")
    assert len(printed(capsys)) == 1
    HistoryStore(database_path(tmp_path, "attic"), "attic", deliver=False).close()
    assert error_line(capsys).endswith(f"--node: several histories in {tmp_path}, expected one of attic, box")
    assert len(printed(capsys, "--node", "box")) == 1
    assert error_line(capsys, "--node", "bax").endswith("expected one of attic, box")
    (tmp_path / "node_id").write_text("box\n")
    assert len(printed(capsys)) == 1


def test_no_matching_spells_is_a_message_and_exit_code_0(store, capsys):
    store.append([spell()], [])
    assert main(["history", "--source", "mik"]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.endswith("; it has spells of mic\n")


def test_a_file_that_is_not_a_database_is_one_line_and_exit_code_2(tmp_path, capsys):
    database_path(tmp_path, "box").write_bytes(b"this is text, and long enough to be read" * 99)
    line = error_line(capsys)
    assert f"{database_path(tmp_path, 'box')}: is damaged (file is not a database)" in line


@pytest.mark.parametrize("record", ["rubbish", "[]", '{"source": "mic"}'])
def test_a_damaged_record_is_one_line_and_exit_code_2(store, tmp_path, capsys, record):
    store.append([spell()], [])
    db = sqlite3.connect(database_path(tmp_path, "box"))
    db.execute("UPDATE spells SET record = ?", (record,))
    db.commit()
    db.close()
    assert "is damaged (a record " in error_line(capsys)


@contextmanager
def following(*arguments):
    """Run `history --follow` in its own process; yields a function that takes lines, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "genrewatch", "history", "--follow", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell in the background ignores it
    )
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


def test_follow_prints_the_latest_spells_and_then_each_that_ends_until_ctrl_c(store):
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


def test_follow_continues_with_a_new_database_after_the_old_one_is_moved_aside(store, tmp_path):
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


def test_follow_is_idle_while_nothing_happens(store):
    store.append([spell()], [])
    with following() as (take, process):
        take(1)
        before = busy_s(process.pid)
        time.sleep(2)
        assert busy_s(process.pid) - before < 0.5


def busy_s(pid):
    """Processor time of a process, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

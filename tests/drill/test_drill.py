"""The drill itself: its short form passes every row, and a short soak leaves no resources behind."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, nullcontext
from types import SimpleNamespace

import pytest
from tests.sounds import RATE, pcm16, tune

from genrewatch.audio.level import LevelConfig
from genrewatch.commands.bench_sources import parse_counts
from genrewatch.commands.drill import markdown
from genrewatch.contract.errors import ConfigError
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.inference.pipeline import open_pipeline
from genrewatch_drill.campaigns.soak import Reading, growth_problems, soak
from genrewatch_drill.faults.context import Context
from genrewatch_drill.faults.runner import ROWS
from genrewatch_drill.rig.messages import Message, MessageLog
from genrewatch_drill.rig.player import player_command
from genrewatch_drill.rig.processes import Footprint, children, footprint, is_running
from genrewatch_drill.rig.results import CheckFailed, Outcome, Result
from genrewatch_drill.rig.sounds import Sounds
from genrewatch_drill.servers.faulty_station import FaultyStation


def genrewatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "genrewatch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


@pytest.mark.slow
def test_chosen_rows_are_played_and_written_as_a_table(tmp_path):
    """All rows are played by `make release-check`, alone on the machine: they have deadlines."""
    table, chosen = tmp_path / "table.md", [row.name for row in ROWS if row.name in ("killed", "dc", "packet-size")]
    only = [option for name in chosen for option in ("--only", name)]
    answer = genrewatch("drill", "--short", "--json", "--markdown", str(table), *only)
    results = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [result for result in results if result["verdict"] == "fail"] == []
    assert answer.returncode == 0, answer.stderr
    assert [result["name"] for result in results] == [*chosen, "memory", "log", "end"]
    assert len(table.read_text().splitlines()) == len(results) + 2


@pytest.mark.slow
def test_without_a_broker_the_drill_reads_the_lines_of_the_daemon(tmp_path, monkeypatch):
    from genrewatch_drill.faults.runner import drill

    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    results = drill(tmp_path, short=True, only=["killed", "silence", "dc"], mqtt=False)
    assert {result.name: result.verdict for result in results} == dict.fromkeys(
        ["killed", "silence", "dc", "memory", "log", "end"], "pass"
    ), results


def test_an_unknown_row_is_one_line():
    answer = genrewatch("drill", "--only", "earthquake")
    assert answer.returncode == 2
    assert answer.stderr.startswith("genrewatch: --only: no row 'earthquake', expected killed, stopped")


@pytest.mark.slow
def test_a_short_soak_plays_its_faults_and_leaves_no_resources_behind(tmp_path):
    result = soak(tmp_path, 0.3)
    assert result.problems == []
    assert result.readings[-1].sound_h >= 0.3
    assert result.readings[-1].faults >= 3


def test_a_soak_distinguishes_growth_from_what_a_child_needs():
    def problems(*held):
        """Return the problems of readings of (children, descriptors), half of them in each half of the soak."""
        return growth_problems(
            [
                Reading(
                    sound_h=(i + 1) / len(held),
                    wall_s=0.0,
                    faults=4,
                    footprint=Footprint(rss_mb=50, threads=9, descriptors=fds, children=children, zombies=0),
                )
                for i, (children, fds) in enumerate(held)
            ],
            1.0,
        )

    assert problems((1, 16), (3, 28), (2, 22), (4, 34)) == problems((1, 16), (2, 28), (4, 34), (2, 22)) == []
    assert problems((1, 16), (2, 22), (4, 44), (2, 32)) == ["10 more descriptors with as many children"]


def test_a_message_log_waits_for_a_message_and_names_the_one_that_did_not_come():
    messages = MessageLog()
    messages.add(Message(at=1.0, kind="availability", source="a", body={"online": True}))
    messages.add(Message(at=2.0, kind="availability", source="a", body={"online": False}))
    messages.add(Message(at=3.0, kind="status", source="", body={"online": True}))
    assert messages.wait("a", "availability", lambda body: not body["online"], within_s=0).at == 2.0
    assert messages.still_online() == ["the node"]
    with pytest.raises(CheckFailed, match="no such availability of a within 0 s"):
        messages.wait("a", "availability", since=2.5, within_s=0)


@pytest.mark.parametrize(
    ("start_s", "problem"), [(11.0, None), (9.0, "a segment spans the gap"), (2.0, "a segment spans the gap")]
)
def test_a_segment_after_a_gap_must_hold_no_sound_from_before_it(tmp_path, start_s, problem):
    pipeline = open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())
    messages, segment_s = MessageLog(), pipeline.manifest.front_end.segment_s
    with ExitStack() as resources:
        context = Context(
            directory=tmp_path, sounds=Sounds(tmp_path), short=True, pipeline=pipeline, resources=resources
        )
    context.running = SimpleNamespace(messages=messages, lost_s=lambda source: 1.0)

    def publish(at, kind, **body):
        messages.add(Message(at=at, kind=kind, source="a", body=body))

    publish(10.0, "segment", start_s=10.0 - segment_s, end_s=10.0)
    publish(10.1, "availability", online=False)
    publish(11.0, "availability", online=True)
    publish(11.0 + segment_s, "segment", start_s=start_s, end_s=start_s + segment_s)
    publish(13.0 + segment_s, "segment", start_s=start_s + 2, end_s=start_s + 2 + segment_s)
    with pytest.raises(CheckFailed, match=problem) if problem else nullcontext():
        context.outage("a", 10.05, how="gone")


def test_a_player_follows_its_scripts_and_keeps_a_journal(tmp_path):
    sound, journal = tmp_path / "sound", tmp_path / "journal"
    sound.write_bytes(pcm16(tune(1)))
    command = player_command(journal, sound, "burst=2 die", "burst=1 text")
    first = subprocess.run(command, capture_output=True, timeout=60)
    second = subprocess.run(command, capture_output=True, timeout=60)
    assert first.returncode == 1
    assert b"ends with die" in first.stderr
    assert first.stdout[: 2 * RATE] == sound.read_bytes()[: 2 * RATE]
    assert second.stdout.endswith(b"not sound\n")
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [entry["step"] for entry in entries] == ["start", "sound", "die", "start", "sound", "text"]
    assert entries[2]["written_s"] == pytest.approx(2, abs=0.01)


def test_a_faulty_station_answers_each_request_with_the_next_script(tmp_path):
    sound = tmp_path / "sound"
    sound.write_bytes(b"s" * 1000)
    steps = []
    station = FaultyStation(
        {"a": ["play=0.2 close", "404"]}, sound, 1000, lambda path, step: steps.append((path, step))
    )
    try:
        with urllib.request.urlopen(station.url("a"), timeout=20) as answer:
            assert answer.read() == b"s" * 200
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(station.url("a"), timeout=20)
    finally:
        station.close()
    assert steps == [("a", "sound"), ("a", "close"), ("a", "404")]


def test_a_footprint_counts_children_and_zombies():
    child = subprocess.Popen(["sleep", "600"])
    assert child.pid in children(os.getpid())
    assert is_running(child.pid)
    before = footprint(os.getpid())
    child.kill()
    deadline = time.monotonic() + 10
    while is_running(child.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    after = footprint(os.getpid())
    child.wait()
    assert (after.children, after.zombies) == (before.children - 1, before.zombies + 1)


def test_the_table_shows_what_was_seen():
    outcome = Outcome(seen="killed", recovered_s=1.25, lost_s=1.5)
    lines = markdown([Result(name="a", fault="child killed", verdict="pass", outcome=outcome)]).splitlines()
    assert lines[2] == "| child killed | killed | 1.2 s | 1.5 | - | pass |"


def test_numbers_of_sources_are_parsed_strictly():
    assert parse_counts("1,10,200") == [1, 10, 200]
    for wrong in ("", "0", "1,,2", "many", "1.5"):
        with pytest.raises(ConfigError, match="--sources"):
            parse_counts(wrong)


@pytest.mark.slow
def test_a_bench_of_sources_gives_a_row_for_each_number():
    answer = genrewatch("bench", "--sources", "2", "--seconds", "4", "--json")
    load = json.loads(answer.stdout)
    assert load["sources"] == 2
    assert load["segments"] >= 2
    assert load["lost_s"] == 0
    assert 0 < load["late_p50_s"] <= load["late_p95_s"] <= load["late_max_s"]

"""The drill itself: its short form passes every row, and a short soak leaves nothing over."""

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
from genrewatch_drill.campaigns.soak import Reading, _wrong, soak
from genrewatch_drill.faults.runner import ROWS, Result
from genrewatch_drill.faults.stage import PLAYER, Outcome, Stage
from genrewatch_drill.rig.proc import Footprint, children, footprint, runs
from genrewatch_drill.rig.record import Record, Said, Unmet
from genrewatch_drill.rig.server import BadServer
from genrewatch_drill.rig.sounds import Sounds


def genrewatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "genrewatch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


def test_the_short_drill_passes_every_row(tmp_path):
    table = tmp_path / "table.md"
    answer = genrewatch("drill", "--short", "--json", "--markdown", str(table))
    results = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [result for result in results if result["verdict"] == "fail"] == []
    assert answer.returncode == 0, answer.stderr
    assert [result["name"] for result in results] == [*(row.name for row in ROWS), "memory", "log", "end"]
    assert len(table.read_text().splitlines()) == len(results) + 2


def test_without_a_broker_the_lines_of_the_daemon_say_enough(tmp_path, monkeypatch):
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


def test_a_short_soak_leaves_nothing_over_and_has_had_its_faults(tmp_path):
    result = soak(tmp_path, 0.3)
    assert result.wrong == []
    assert result.readings[-1].heard_h >= 0.3
    assert result.readings[-1].faults >= 3


def test_a_soak_tells_what_is_left_over_from_what_a_child_needs():
    def wrong(*held):
        """Of readings of (children, descriptors), each half as many."""
        return _wrong(
            [
                Reading(
                    heard_h=(i + 1) / len(held),
                    wall_s=0.0,
                    faults=4,
                    footprint=Footprint(rss_mb=50, threads=9, descriptors=fds, children=children, zombies=0),
                )
                for i, (children, fds) in enumerate(held)
            ],
            1.0,
        )

    assert wrong((1, 16), (3, 28), (2, 22), (4, 34)) == wrong((1, 16), (2, 28), (4, 34), (2, 22)) == []
    assert wrong((1, 16), (2, 22), (4, 44), (2, 32)) == ["10 more descriptors with as many children"]


def test_a_record_waits_for_what_comes_and_says_what_did_not():
    record = Record()
    record.add(Said(at=1.0, kind="availability", source="a", body={"online": True}))
    record.add(Said(at=2.0, kind="availability", source="a", body={"online": False}))
    record.add(Said(at=3.0, kind="status", source="", body={"online": True}))
    assert record.wait("a", "availability", lambda body: not body["online"], within_s=0).at == 2.0
    assert record.last_online() == ["the node"]
    with pytest.raises(Unmet, match="no such availability of a within 0 s"):
        record.wait("a", "availability", since=2.5, within_s=0)


@pytest.mark.parametrize(
    ("start_s", "wrong"), [(11.0, None), (9.0, "a segment spans the gap"), (2.0, "a segment spans the gap")]
)
def test_a_segment_after_a_gap_may_hold_nothing_of_what_was_before(tmp_path, start_s, wrong):
    pipeline = open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())
    record, segment_s = Record(), pipeline.manifest.front_end.segment_s
    with ExitStack() as resources:
        stage = Stage(directory=tmp_path, sounds=Sounds(tmp_path), short=True, pipeline=pipeline, resources=resources)
    stage.subject.append(SimpleNamespace(record=record, lost_s=lambda source: 1.0))

    def said(at, kind, **body):
        record.add(Said(at=at, kind=kind, source="a", body=body))

    said(10.0, "segment", start_s=10.0 - segment_s, end_s=10.0)
    said(10.1, "availability", online=False)
    said(11.0, "availability", online=True)
    said(11.0 + segment_s, "segment", start_s=start_s, end_s=start_s + segment_s)
    said(13.0 + segment_s, "segment", start_s=start_s + 2, end_s=start_s + 2 + segment_s)
    with pytest.raises(Unmet, match=wrong) if wrong else nullcontext():
        stage.outage("a", 10.05, how="gone")


def test_a_player_lives_as_it_is_told_and_writes_it_down(tmp_path):
    sound, journal = tmp_path / "sound", tmp_path / "journal"
    sound.write_bytes(pcm16(tune(1)))
    command = [sys.executable, "-I", "-S", str(PLAYER), str(journal), str(sound), str(2 * RATE)]
    first = subprocess.run([*command, "burst=2 die", "burst=1 text"], capture_output=True, timeout=60)
    second = subprocess.run([*command, "burst=2 die", "burst=1 text"], capture_output=True, timeout=60)
    assert first.returncode == 1
    assert b"as it was told" in first.stderr
    assert first.stdout[: 2 * RATE] == sound.read_bytes()[: 2 * RATE]
    assert second.stdout.endswith(b"no sound at all\n")
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [entry["what"] for entry in entries] == ["start", "sound", "die", "start", "sound", "text"]
    assert entries[2]["sounded_s"] == pytest.approx(2, abs=0.01)


def test_a_bad_server_gives_each_visitor_the_next_visit(tmp_path):
    sound = tmp_path / "sound"
    sound.write_bytes(b"s" * 1000)
    told = []
    server = BadServer({"a": ["play=0.2 close", "404"]}, sound, 1000, lambda path, what: told.append((path, what)))
    try:
        with urllib.request.urlopen(server.url("a"), timeout=20) as answer:
            assert answer.read() == b"s" * 200
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(server.url("a"), timeout=20)
    finally:
        server.close()
    assert told == [("a", "sound"), ("a", "close"), ("a", "404")]


def test_a_footprint_counts_children_and_zombies():
    child = subprocess.Popen(["sleep", "600"])
    assert child.pid in children(os.getpid())
    assert runs(child.pid)
    before = footprint(os.getpid())
    child.kill()
    deadline = time.monotonic() + 10
    while runs(child.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    after = footprint(os.getpid())
    child.wait()
    assert (after.children, after.zombies) == (before.children - 1, before.zombies + 1)


def test_the_table_says_what_was_seen():
    outcome = Outcome(seen="killed", recovered_s=1.25, lost_s=1.5)
    lines = markdown([Result(name="a", fault="child killed", verdict="pass", outcome=outcome)]).splitlines()
    assert lines[2] == "| child killed | killed | 1.2 s | 1.5 | - | pass |"


def test_numbers_of_sources_are_read_strictly():
    assert parse_counts("1,10,200") == [1, 10, 200]
    for wrong in ("", "0", "1,,2", "many", "1.5"):
        with pytest.raises(ConfigError, match="--sources"):
            parse_counts(wrong)


def test_a_bench_of_sources_gives_a_row_for_each_number():
    answer = genrewatch("bench", "--sources", "2", "--seconds", "4", "--json")
    load = json.loads(answer.stdout)
    assert load["sources"] == 2
    assert load["segments"] >= 2
    assert load["lost_s"] == 0
    assert 0 < load["late_p50_s"] <= load["late_p95_s"] <= load["late_max_s"]

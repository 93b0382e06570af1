"""The sink and its thread: no source waits for the disk, and what cannot be written now is written later."""

import json
import sqlite3
import threading
import time
from dataclasses import replace

import pytest
from tests.history.rig import FakeTransport
from tests.sinks.mqtt_rig import JAZZ, ROCK, SAMPLE_RATE, SILENCE

from genrewatch.audio.level import LevelConfig
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.history import writer
from genrewatch.history.config import HistoryConfig
from genrewatch.history.database import Damaged, Unavailable, database_path, open_for_reading
from genrewatch.history.store import HistoryStore
from genrewatch.host.times import now
from genrewatch.inference.pipeline import open_pipeline
from genrewatch.sinks.history import HistorySink

QUICK = HistoryConfig(save_s=0.1)
LONGEST_S = 20.0


@pytest.fixture(scope="module")
def pipeline():
    return open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())


@pytest.fixture
def path(tmp_path):
    return database_path(tmp_path / "state", "box")


def started(path, pipeline, *, config=QUICK, transport=None, clock=now):
    sink = HistorySink(path, "box", config, names={"mic": "Mic"}, transport=transport, clock=clock)
    sink.start()
    sink.on_stream("mic", pipeline)
    sink.on_availability("mic", True, "")
    return sink


def play(sink, *results, from_s=7):
    """Send one result per second of stream time."""
    for second, result in enumerate(results, start=from_s):
        end = second * SAMPLE_RATE
        sink.on_result("mic", replace(result, start=max(0, end - 7 * SAMPLE_RATE), end=end))


def until(condition):
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)


def records(path, table="spells"):
    try:
        db = open_for_reading(path)
    except (Unavailable, Damaged):
        return []
    try:
        return [json.loads(row[0]) for row in db.execute(f"SELECT record FROM {table}")]
    finally:
        db.close()


def facts(sink):
    return sink.diagnostics()["history"]


def test_ended_spells_are_stored_at_once_and_open_ones_every_save_s(path, pipeline):
    sink = started(path, pipeline)
    play(sink, ROCK, ROCK, JAZZ)
    until(lambda: [r["genre"] for r in records(path)] == ["rock"])
    until(lambda: [r["genre"] for r in records(path, "open")] == ["jazz"])
    assert (facts(sink)["stored"], facts(sink)["waiting"], sink.problems()) == (1, 0, [])
    sink.on_duration("mic", 10.5, 0.0, ended=True)
    sink.flush()
    assert [(r["genre"], r["heard_s"], r["name"]) for r in records(path)] == [
        ("rock", 8.0, "Mic"),
        ("jazz", 2.5, "Mic"),
    ]
    assert records(path, "open") == []


def test_an_idle_history_writes_nothing(path, pipeline, monkeypatch):
    written = []
    append = HistoryStore.append
    monkeypatch.setattr(HistoryStore, "append", lambda *a: (written.append(1), append(*a))[1])
    sink = started(path, pipeline)
    play(sink, ROCK)
    until(lambda: records(path, "open"))
    count = len(written)
    time.sleep(5 * QUICK.save_s)
    assert len(written) == count
    sink.flush()


def test_each_source_has_its_own_spells_and_a_new_model_ends_a_spell(path, pipeline):
    sink = started(path, pipeline)
    sink.on_stream("line", pipeline)
    play(sink, ROCK, ROCK)
    sink.on_result("line", ROCK)
    another = replace(pipeline, manifest=replace(pipeline.manifest, name="other"))
    sink.on_duration("mic", 8.0, 0.0, ended=True)
    sink.on_stream("mic", another)
    play(sink, ROCK)
    sink.flush()
    assert sorted((r["source"], r["model"], r["heard_s"]) for r in records(path)) == [
        ("line", "gtzan-compact", 8.0),
        ("mic", "gtzan-compact", 8.0),
        ("mic", "other", 7.0),
    ]


def test_spells_are_written_once_an_unwritable_disk_recovers(path, pipeline, monkeypatch, caplog):
    monkeypatch.setattr(writer, "RETRY_S", 0.1)
    path.parent.parent.mkdir(exist_ok=True)
    path.parent.write_text("where the state directory should be")
    sink = started(path, pipeline)
    play(sink, ROCK, JAZZ, ROCK)
    until(lambda: sink.problems())
    assert sink.problems()[0].startswith("history: ")
    until(lambda: facts(sink)["unsaved"] == 2)
    path.parent.unlink()
    until(lambda: not sink.problems())
    assert [r["genre"] for r in records(path)] == ["rock", "jazz"]
    sink.flush()
    assert [r.levelname for r in caplog.records] == ["ERROR", "WARNING"]


def test_a_disk_that_stays_full_drops_the_oldest_spells_and_counts_them(path, pipeline, monkeypatch):
    monkeypatch.setattr(writer, "MAX_QUEUED", 10)
    monkeypatch.setattr(writer, "RETRY_S", 0.1)

    def full(*_):
        raise Unavailable("database or disk is full")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(HistoryStore, "append", full)
        sink = started(path, pipeline)
        play(sink, ROCK, JAZZ)
        until(lambda: sink.problems())
        play(sink, *[ROCK, JAZZ] * 20, from_s=100)
        until(lambda: facts(sink)["dropped"] >= 30)
        assert facts(sink)["unsaved"] == 10
        assert sink.problems() == ["history: database or disk is full"]
    until(lambda: facts(sink)["unsaved"] == 0)
    assert not sink.problems()
    sink.flush()


def test_a_hanging_disk_delays_neither_results_nor_the_stop(path, pipeline, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(HistoryStore, "append", lambda *_: released.wait(LONGEST_S))
    sink = started(path, pipeline)
    began = time.monotonic()
    play(sink, *[ROCK, JAZZ] * 200)
    sink.flush()
    assert time.monotonic() - began < LONGEST_S / 2
    released.set()


def test_a_damaged_database_is_moved_aside_and_logged_and_numbers_continue(path, pipeline, caplog):
    sink = started(path, pipeline)
    play(sink, ROCK, JAZZ)
    sink.flush()
    newest = records(path)[-1]["seq"]
    path.write_bytes(b"rubbish " * 5000)
    again = started(path, pipeline)
    play(again, ROCK, SILENCE)
    until(lambda: records(path))
    assert records(path)[0]["seq"] > newest
    aside = facts(again)["set_aside"]
    assert (path.parent / aside).read_bytes().startswith(b"rubbish")
    assert "damaged" in caplog.text
    again.flush()


def test_a_database_deleted_while_it_is_open_is_created_again(path, pipeline, monkeypatch):
    monkeypatch.setattr(writer, "RETRY_S", 0.1)
    sink = started(path, pipeline)
    play(sink, ROCK, JAZZ)
    until(lambda: records(path))
    path.unlink()
    play(sink, ROCK, from_s=10)
    until(lambda: [r["genre"] for r in records(path)] == ["jazz"])
    sink.flush()


def test_records_are_delivered_and_the_stop_waits_for_the_last_acknowledgement(path, pipeline):
    transport = FakeTransport()
    sink = started(path, pipeline, transport=transport)
    play(sink, ROCK, JAZZ)
    until(lambda: transport.seqs == [1])
    transport.acknowledge(1)
    sink.wake()
    until(lambda: facts(sink)["waiting"] == 0)
    publish = transport.publish

    def publish_and_acknowledge(source, payload, kind):
        packet_id = publish(source, payload)
        transport.acknowledge(len(transport.published))
        return packet_id

    transport.publish = publish_and_acknowledge
    sink.flush()
    assert transport.seqs == [1, 2]
    assert HistoryStore(path, "box", deliver=True).waiting == 0


def test_the_latest_posteriors_are_stored_if_configured(path, pipeline):
    sink = started(path, pipeline, config=replace(QUICK, posteriors=5))
    play(sink, *[ROCK] * 8, SILENCE)
    sink.flush()
    db = open_for_reading(path)
    stored = db.execute("SELECT label, posterior IS NULL, json_extract(verdict, '$.genre') FROM segments").fetchall()
    assert stored == [("rock", 0, "rock")] * 4 + [("silence", 1, None)]
    assert db.execute("SELECT source, model FROM streams").fetchall() == [("mic", "gtzan-compact")]
    db.close()


def test_a_wall_clock_set_years_ahead_deletes_no_history(path, pipeline, monkeypatch):
    sink = started(path, pipeline)
    play(sink, ROCK, JAZZ, ROCK)
    sink.flush()
    five_years_ms = 5 * 365 * 86_400_000
    monkeypatch.setattr(writer, "PRUNE_S", 0.05)
    again = started(path, pipeline, clock=lambda: replace(now(), utc_ms=now().utc_ms + five_years_ms))
    play(again, ROCK, JAZZ)
    until(lambda: facts(again)["stored"] == 4)
    time.sleep(0.5)
    again.flush()
    assert len(records(path)) == 5


def test_a_defect_does_not_end_the_thread_and_is_reported(path, pipeline, monkeypatch, caplog):
    monkeypatch.setattr(writer, "RETRY_S", 0.1)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(HistoryStore, "append", lambda *_: 1 / 0)
        sink = started(path, pipeline)
        play(sink, ROCK, JAZZ)
        until(lambda: sink.problems())
        assert "ZeroDivisionError" in sink.problems()[0]
    until(lambda: [r["genre"] for r in records(path)] == ["rock"])
    sink.flush()
    assert sum("a defect in history" in r.message for r in caplog.records) == 1


def test_a_damaged_record_in_the_outbox_is_reported_and_its_database_moved_aside(path, pipeline):
    transport = FakeTransport()
    transport.connection_number = 0
    sink = started(path, pipeline, transport=transport)
    play(sink, ROCK, JAZZ)
    sink.flush()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE spells SET record = '{\"v\":1,' WHERE seq = 1")
    db.close()
    transport.connection_number = 1
    again = started(path, pipeline, transport=transport)
    until(lambda: facts(again)["set_aside"])
    play(again, ROCK, JAZZ)
    until(lambda: transport.published)
    assert transport.seqs[0] > 2
    again.flush()


def test_a_hanging_disk_is_reported_and_the_queue_is_bounded_and_counted(path, pipeline, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(HistoryStore, "append", lambda *_: released.wait(LONGEST_S))
    monkeypatch.setattr(writer, "HANGS_S", 0.1)
    monkeypatch.setattr("genrewatch.sinks.history.MAX_QUEUED", 10)
    sink = started(path, pipeline)
    play(sink, ROCK, JAZZ)
    until(lambda: "has not answered" in "".join(sink.problems()))
    play(sink, *[ROCK, JAZZ] * 20, from_s=100)
    assert facts(sink)["dropped"] >= 28
    assert facts(sink)["unsaved"] <= 12
    released.set()
    sink.flush()


def test_a_disk_that_is_nearly_full_is_a_problem_until_it_has_room(tmp_path, monkeypatch):
    free = [10**6]
    usage = "genrewatch.history.writer.shutil.disk_usage"
    monkeypatch.setattr(usage, lambda path: type("Usage", (), {"free": free[0]})())
    monkeypatch.setattr("genrewatch.history.writer.PRUNE_S", 0.0)
    made = writer.HistoryWriter(database_path(tmp_path, "box"), "box", HistoryConfig(), None, writer.Batch)
    made._run_once()
    assert made.problems == ["the disk is nearly full, 1 MB free"]
    free[0] = 10**9
    made._run_once()
    assert made.problems == []
    made._close_store()

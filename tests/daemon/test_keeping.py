"""The real daemon, whose broker dies, whose switches are thrown, whose model is exchanged: nothing decided is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest
from tests.servers import Seen, Watcher
from tests.sounds import pcm16, tune

from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.history.chain import record_hash
from genrewatch.history.database import database_path, open_for_reading
from genrewatch_drill.fakes import PLAYER
from genrewatch_drill.rig.processes import descendants
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.proxy import Proxy

ROOT = Path(__file__).parents[2]
SCHEMAS = {
    path.name.partition(".")[0]: json.loads(path.read_text())
    for path in (ROOT / "edge" / "genrewatch" / "schema").glob("*.schema.json")
}
LONGEST_S = 60.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as mosquitto:
        yield mosquitto


@pytest.fixture
def watcher(broker) -> Iterator[Watcher]:
    with Watcher(broker.port) as watching:
        yield watching


@contextmanager
def listening(tmp_path, url, *sources, mqtt="", more="", code=0) -> Iterator[subprocess.Popen]:
    """The daemon `box`, with quick votes; `mqtt` and `more` are lines of its configuration,
    `code` is what it ends with."""
    config = tmp_path / "genrewatch.toml"
    lines = ['node = "box"', "health_s = 1", "[vote]", "segments = 2", "[history]", "save_s = 0.2", more]
    config.write_text("\n".join([*lines, "[mqtt]", f'url = "{url}"', "heartbeat_s = 1", mqtt, *sources]))
    command = [sys.executable, "-m", "genrewatch", "listen", "--config", str(config)]
    environment = {**os.environ, "GENREWATCH_STATE": str(tmp_path / "state")}
    with (tmp_path / "log").open("ab") as log:
        daemon = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield daemon
    finally:
        daemon.terminate()
        assert daemon.wait(LONGEST_S) == code, (tmp_path / "log").read_text()[-3000:]


def player(tmp_path: Path, source_id: str) -> str:
    """A source that plays for ever, ten times too fast: music, a pause, other music and so on."""
    sound = tmp_path / "sound.s16"
    parts = [pcm16(tune(9, seed=seed) * loud) for seed, loud in ((2, 1), (3, 0), (5, 1), (7, 0))]
    sound.write_bytes(b"".join(parts))
    program = [sys.executable, "-I", "-S", str(PLAYER), str(tmp_path / f"{source_id}.journal"), str(sound), "44100"]
    uri = f"cmd:{' '.join(program)} 'fast=10 play'?rate=22050"
    return f"[[source]]\nuri = {json.dumps(uri)}\nid = {json.dumps(source_id)}"


def kept(tmp_path) -> list[dict]:
    db = open_for_reading(database_path(tmp_path / "state", "box"))
    try:
        rows = db.execute("SELECT record, prev, hash FROM spells ORDER BY seq").fetchall()
        return [{**json.loads(record), "prev": prev, "hash": hash_} for record, prev, hash_ in rows]
    finally:
        db.close()


def waiting(tmp_path) -> list[int]:
    db = open_for_reading(database_path(tmp_path / "state", "box"))
    try:
        return [seq for (seq,) in db.execute("SELECT seq FROM outbox ORDER BY seq")]
    finally:
        db.close()


def health_until(watcher, condition):
    def fits(seen):
        return seen.topic.endswith("box/health") and condition(json.loads(seen.payload))

    return json.loads(watcher.until(fits, LONGEST_S).payload)


def checked(seen) -> str | None:
    """Return the name of the schema of a topic's payloads; None for a topic without one."""
    last = seen.topic.rpartition("/")[2]
    name = {"config": "discovery"}.get(last, last)
    if name not in SCHEMAS:
        return None
    jsonschema.validate(json.loads(seen.payload), SCHEMAS[name])
    return name


def test_all_payloads_of_a_daemon_match_the_published_schemas(tmp_path, broker, watcher):
    sources = [
        player(tmp_path, "a"),
        '[[source]]\nuri = "cmd:sleep 2"\nid = "b"',
    ]  # b stalls once the broker is connected
    hook = f"[[hook]]\non = ['genre_changed', 'stalled']\ncommand = {json.dumps(sys.executable + ' -c pass')}"
    said: set[str | None] = set()

    def check_until(kinds):
        end = time.monotonic() + LONGEST_S
        while not said >= kinds:
            assert time.monotonic() < end, f"only {said}"
            said.add(checked(watcher.until(lambda seen: True, LONGEST_S)))

    with listening(tmp_path, broker.url, *sources, hook):
        check_until(set(SCHEMAS) - {"history", "correction"})
        watcher.publish("genrewatch/box/a/listen/set", "OFF")  # which ends a spell
        check_until({"history"})
    for seen in watcher.settled():
        checked(seen)


@pytest.mark.slow
def test_what_an_absent_broker_missed_is_delivered_afterwards_in_order_and_marked(tmp_path, broker, watcher):
    got: list[dict] = []
    health: list[dict] = []

    def take(seen):
        bodies = {"history": got, "health": health}.get(seen.topic.rpartition("/")[2])
        if bodies is not None:
            bodies.append(json.loads(seen.payload))

    def collect(count):
        while len({record["seq"] for record in got}) < count:
            take(watcher.until(lambda seen: True, LONGEST_S))

    with (
        Proxy().open(broker.port) as proxy,
        listening(tmp_path, proxy.url, player(tmp_path, "a"), player(tmp_path, "b")),
    ):
        collect(4)
        for _ in range(2):
            proxy.close()
            had = len(kept(tmp_path))
            until(lambda had=had: len(kept(tmp_path)) >= had + 6)
            proxy.open(broker.port)
            collect(had + 6)
    for seen in watcher.settled():
        take(seen)
    records = kept(tmp_path)
    firsts = list({record["seq"]: record for record in reversed(got)}.values())[::-1]
    left = [record["seq"] for record in records[len(firsts) :]]  # that the end left no time for
    assert [record["seq"] for record in firsts] == list(range(1, len(firsts) + 1)), "all, in order"
    assert set(left) <= set(waiting(tmp_path))
    assert len(firsts) >= had + 6
    assert {record["backfilled"] for record in got} == {True, False}
    for one in got:
        assert {key: value for key, value in one.items() if key != "backfilled"} == records[one["seq"] - 1]
    for record in records:
        assert record["hash"] == record_hash(record["prev"], record)
    for source, heard in health[-1]["sources"].items():
        spells = [record for record in records if record["source"] == source]
        assert sum(r["heard_s"] for r in spells) == pytest.approx(heard["heard_s"], abs=0.01), "time listened"
        assert sum(r["lost_s"] for r in spells) == pytest.approx(heard["lost_s"], abs=0.01)


def until(condition) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


def test_a_source_that_is_switched_off_has_no_child_and_stays_off_over_a_restart(tmp_path, broker, watcher):
    sources = [player(tmp_path, "a"), player(tmp_path, "b")]
    with listening(tmp_path, broker.url, *sources) as daemon:
        watcher.next("/a/history", LONGEST_S)
        assert len(descendants(daemon.pid)) == 2
        watcher.publish("genrewatch/box/a/listen/set", "OFF")
        assert watcher.next("box/a/availability", LONGEST_S).payload == "offline"
        assert watcher.next("box/a/listen").payload == "OFF"
        assert json.loads(watcher.next("box/a/state").payload)["reason"] == "off"
        assert len(descendants(daemon.pid)) == 1
        watcher.next("/b/history", LONGEST_S)
    watcher.settled()
    with listening(tmp_path, broker.url, *sources) as daemon:
        health = health_until(watcher, lambda health: health["sources"]["b"]["segments"] > 0)
        assert (health["sources"]["a"]["off"], health["sources"]["a"]["heard_s"]) == (True, 0)
        assert len(descendants(daemon.pid)) == 1
        watcher.publish("genrewatch/box/a/listen/set", "ON")
        assert watcher.next("box/a/listen", LONGEST_S).payload == "ON"
        assert watcher.next("box/a/availability", LONGEST_S).payload == "online"
        watcher.next("/a/history", LONGEST_S)
    assert all(record["reason"] != "stalled" for record in kept(tmp_path)), "off is not an outage"


def test_a_bundle_can_be_exchanged_while_listening_and_a_bad_one_changes_nothing(tmp_path, broker, watcher):
    bundles = tmp_path / "bundles"
    for name in ("good", "bad"):
        shutil.copytree(SHIPPED_BUNDLE, bundles / name)
    manifest = json.loads((bundles / "good" / "bundle.json").read_text())
    (bundles / "good" / "bundle.json").write_text(json.dumps({**manifest, "version": "9.9"}))
    (bundles / "bad" / "model.tflite").write_bytes(b"TFL3 or so")
    with listening(tmp_path, broker.url, player(tmp_path, "a"), mqtt=f'bundles = "{bundles}"'):
        watcher.next("/a/history", LONGEST_S)
        for name, refusal, present in (("bad", "model.tflite", manifest["version"]), ("absent", "absent", "9.9")):
            watcher.publish("genrewatch/box/bundle/set", name)
            health = health_until(watcher, lambda health: health["bundle_refused"])
            assert refusal in health["bundle_refused"]
            assert health["model"]["version"] == present
            watcher.publish("genrewatch/box/bundle/set", "good")
            health_until(watcher, lambda health: not health["bundle_refused"])
        assert json.loads(watcher.until(new_model, LONGEST_S).payload)["genre"] in (*manifest["labels"], None)
    records = kept(tmp_path)
    versions = [record["version"] for record in records]
    assert versions == sorted(versions), "each spell has one model"
    assert set(versions) == {manifest["version"], "9.9"}


def new_model(seen) -> bool:
    return seen.topic.endswith("/state") and json.loads(seen.payload)["version"] == "9.9"


@pytest.mark.slow
def test_a_state_directory_that_cannot_be_written_is_reported_and_listening_goes_on(tmp_path, broker, watcher):
    (tmp_path / "state").write_text("in the way")
    with listening(tmp_path, broker.url, player(tmp_path, "a")):
        watcher.next("/a/state", LONGEST_S)
        health = health_until(watcher, lambda health: health["degraded"] and health["history"]["unsaved"] > 2)
        assert health["degraded"][0].startswith("history: ")
        (tmp_path / "state").unlink()
        health = health_until(watcher, lambda health: not health["degraded"] and not health["history"]["unsaved"])
        assert health["history"]["dropped"] == 0
    assert [record["seq"] for record in kept(tmp_path)] == list(range(1, len(kept(tmp_path)) + 1))
    assert kept(tmp_path)[0]["start_s"] == 0.0, "nothing that was decided meanwhile is missing"


def of_another_run(seen: Seen, records: list[dict]) -> bool:
    """Whether a message is of a spell that began after those; one that was interrupted is told by the next run."""
    return json.loads(seen.payload)["run"] != records[0]["run"]


def test_sigkill_costs_no_spell_that_was_stored_and_little_of_the_one_that_was_open(tmp_path, broker, watcher):
    sources = [player(tmp_path, "a")]
    with listening(tmp_path, broker.url, *sources, code=-signal.SIGKILL) as daemon:
        watcher.next("/a/history", LONGEST_S)
        watcher.next("/a/history", LONGEST_S)
        daemon.kill()
        daemon.wait()
        before = kept(tmp_path)
    watcher.settled()
    with listening(tmp_path, broker.url, *sources):
        watcher.until(lambda seen: seen.topic.endswith("/a/history") and of_another_run(seen, before), LONGEST_S)
    after = kept(tmp_path)
    assert after[: len(before)] == before
    assert after[len(before)]["interrupted"]
    assert len({record["run"] for record in after}) == 2

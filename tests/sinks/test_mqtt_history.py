"""The history and a real Mosquitto: who delivers, who acknowledges, who refuses."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.servers import Watcher, no_mqtt_5
from tests.sinks.mqtt_rig import JAZZ, ROCK, running_sink

from genrewatch.audio.level import LevelConfig
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.history.config import HistoryConfig
from genrewatch.history.database import database_path
from genrewatch.inference.pipeline import open_pipeline
from genrewatch.sinks.history import HistorySink
from genrewatch.sinks.mqtt.sink import MqttSink
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.proxy import Proxy

LONGEST_S = 20.0


@contextmanager
def keeping(tmp_path: Path, url: str, **more: Any) -> Iterator[tuple[HistorySink, MqttSink]]:
    """A history of `box` that the sink for the broker at `url` delivers."""
    with running_sink(url, names={"mic": "Mic"}, **more) as mqtt:
        path = database_path(tmp_path, "box")
        history = HistorySink(path, "box", HistoryConfig(save_s=0.1), names={"mic": "Mic"}, transport=mqtt.history)
        mqtt.history.on_change = history.wake
        history.start()
        history.on_stream("mic", open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig()))
        yield history, mqtt
        history.flush()


def change(history: HistorySink, times: int) -> None:
    """So many spells end."""
    for turn in range(times + 1):
        history.on_result("mic", JAZZ if turn % 2 else ROCK)


def until(history: HistorySink, **facts: int) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not facts.items() <= history.diagnostics()["history"].items():
        assert time.monotonic() < deadline, history.diagnostics()
        time.sleep(0.01)


@pytest.mark.parametrize("v5", [True, False])
def test_spells_are_delivered_and_leave_the_outbox_in_either_protocol(tmp_path: Path, v5: bool) -> None:
    with (
        Mosquitto(tmp_path / "broker") as broker,
        no_mqtt_5(broker.port, b"") as old_port,
        Watcher(broker.port) as watcher,
        keeping(tmp_path, broker.url if v5 else f"mqtt://127.0.0.1:{old_port}") as (history, mqtt),
    ):
        watcher.next("box/status")
        change(history, 5)
        got = [watcher.next("mic/history") for _ in range(5)]
        until(history, stored=5, waiting=0)
        assert mqtt.protocol == ("5" if v5 else "3.1.1")
    assert [json.loads(seen.payload)["seq"] for seen in got] == [1, 2, 3, 4, 5]
    assert {(seen.qos, seen.retain) for seen in got} == {(1, False)}
    if v5:
        assert got[0].properties["UserProperty"] == [("schema", "genrewatch/history/1")]


def test_a_broker_that_refuses_the_history_is_logged_once_and_no_record_is_deleted(tmp_path: Path, caplog: Any) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite genrewatch/box/status\ntopic readwrite genrewatch/box/+/state\ntopic read #\n")
    lines = ["allow_anonymous true", f"acl_file {acl}"]
    with (
        Mosquitto(tmp_path / "broker", lines=lines) as broker,
        Watcher(broker.port) as watcher,
        keeping(tmp_path, broker.url) as (history, mqtt),
    ):
        watcher.next("box/status")
        change(history, 3)
        deadline = time.monotonic() + LONGEST_S
        while "refuses the history" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        mqtt.on_result("mic", ROCK)
        watcher.next("mic/state")
        assert history.diagnostics()["history"]["waiting"] == 3
    assert caplog.text.count("refuses the history") == 1


def test_hundreds_of_spells_that_an_outage_has_left_come_in_order_and_states_do_not_wait_for_them(
    tmp_path: Path,
) -> None:
    with (
        Mosquitto(tmp_path / "broker") as broker,
        Watcher(broker.port) as watcher,
        Proxy().open(broker.port) as proxy,
        keeping(tmp_path, proxy.url) as (history, mqtt),
    ):
        watcher.next("box/status")
        proxy.close()
        deadline = time.monotonic() + LONGEST_S
        while mqtt.protocol:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        change(history, 60)
        until(history, stored=60, waiting=60)
        proxy.open(broker.port)
        first = json.loads(watcher.next("mic/history", LONGEST_S).payload)
        mqtt.on_result("mic", ROCK)
        watcher.next("mic/state")
        until(history, waiting=0)
        got = [json.loads(seen.payload) for seen in watcher.settled() if seen.topic.endswith("history")]
    assert (first["seq"], first["backfilled"]) == (1, True)
    assert got, "the state has overtaken some"
    assert [record["seq"] for record in got] == list(range(got[0]["seq"], 61))


def test_a_node_that_must_not_deliver_keeps_its_history_to_itself(tmp_path: Path) -> None:
    path = database_path(tmp_path, "box")
    history = HistorySink(path, "box", HistoryConfig(save_s=0.1), names={})
    history.start()
    history.on_stream("mic", open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig()))
    change(history, 3)
    until(history, stored=3, waiting=0)
    history.flush()

"""The limits that a broker announces in CONNACK are kept, with a real Mosquitto and a strict small broker."""

import json
import logging
import struct
import time
from pathlib import Path

import pytest
from tests.servers import Watcher
from tests.sinks.hook_rig import until
from tests.sinks.mqtt_rig import JAZZ, ROCK, running_sink

from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.scripted_broker import ScriptedBroker, scripted_broker

SIX = {f"source-{number}": "A source" for number in range(6)}


def test_no_more_messages_wait_for_their_puback_than_receive_maximum() -> None:
    rules = ScriptedBroker(connack=b"\x21" + struct.pack(">H", 3), receive_maximum=3, ack_delay_s=0.01)
    with (
        scripted_broker(rules) as broker,
        running_sink(f"mqtt://127.0.0.1:{broker.port}", settings={"discovery": True}, names=SIX) as sink,
    ):
        for source in SIX:
            sink.on_availability(source, True, "")
            sink.on_result(source, ROCK)
        broker.wait_until(lambda: sum(topic.endswith("/state") for topic in broker.topics) >= 6)
        broker.wait_for("source-5/availability")
    assert broker.exceeded == 0
    assert 2 <= broker.most_in_flight <= 3


def test_without_receive_maximum_messages_wait_in_a_window_of_twenty() -> None:
    with (
        scripted_broker(ScriptedBroker(ack_delay_s=5.0)) as broker,
        running_sink(f"mqtt://127.0.0.1:{broker.port}") as sink,
    ):
        broker.wait_for("box/status")
        for turn in range(40):
            sink.on_result("mic", ROCK if turn % 2 else JAZZ)
        broker.wait_until(lambda: broker.most_in_flight >= 20)
    assert broker.most_in_flight == 20


def test_what_fits_maximum_packet_size_is_published_and_what_does_not_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"discovery": True, "votes": False}
    with (
        Mosquitto(tmp_path, lines=["allow_anonymous true", "max_packet_size 1000"]) as mosquitto,
        Watcher(mosquitto.port) as watcher,
        running_sink(mosquitto.url, settings=settings, names={"mic": "Mic"}) as sink,
    ):
        sink.on_availability("mic", True, "")
        sink.on_result("mic", ROCK)
        assert json.loads(watcher.next("mic/state").payload)["genre"] == "rock"
        (problem,) = sink.problems()
        sink.on_health({"degraded": sink.problems()})
        health = json.loads(watcher.next("box/health").payload)
    assert problem == (
        "the broker refuses messages on homeassistant/device/box/config and 1 more topic "
        "(larger than its limit of 1000 bytes)"
    )
    assert health["mqtt"]["connections"] == 1
    assert sum("limit of 1000" in record.getMessage() for record in caplog.records) == 1


def test_a_broker_that_retains_nothing_receives_everything_and_again_with_each_health(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path, lines=["allow_anonymous true", "retain_available false"]) as mosquitto,
        Watcher(mosquitto.port) as watcher,
        running_sink(mosquitto.url, settings={"discovery": True}, names={"mic": "Mic"}) as sink,
    ):
        watcher.next("mic/config")
        sink.on_availability("mic", True, "")
        sink.on_result("mic", ROCK)
        watcher.next("mic/state")
        sink.on_health({})
        assert watcher.next("box/status").payload == "online"
        assert watcher.next("mic/availability").payload == "online"
        assert sink.protocol == "5"
        assert any("retains nothing" in problem for problem in sink.problems())


def test_a_broker_with_qos_0_only_receives_everything(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path, lines=["allow_anonymous true", "max_qos 0"]) as mosquitto,
        Watcher(mosquitto.port) as watcher,
        running_sink(mosquitto.url, settings={"discovery": True}, names={"mic": "Mic"}) as sink,
    ):
        watcher.next("mic/config")
        sink.on_result("mic", ROCK)
        assert watcher.next("mic/state").qos == 0
        assert sink.protocol == "5"
        assert any("QoS 0" in problem for problem in sink.problems())


@pytest.mark.parametrize(
    "line", ["message_size_limit 700", "max_inflight_messages 1", "max_keepalive 10", "max_topic_alias 0"]
)
def test_other_limits_of_mosquitto_end_no_connection(tmp_path: Path, line: str) -> None:
    with (
        Mosquitto(tmp_path, lines=["allow_anonymous true", line]) as mosquitto,
        Watcher(mosquitto.port) as watcher,
        running_sink(mosquitto.url, settings={"discovery": True, "votes": False}, names=SIX) as sink,
    ):
        for source in SIX:
            sink.on_availability(source, True, "")
            sink.on_result(source, ROCK)
        watcher.next("source-5/state")
        sink.on_health({})
        assert json.loads(watcher.next("box/health").payload)["mqtt"]["connections"] == 1
        if line.startswith("message_size"):  # its PUBACK may come later
            problem = until(sink.problems)[0]
            assert "discovery" in problem or "config" in problem


def test_server_keep_alive_replaces_ours() -> None:
    with (
        scripted_broker(ScriptedBroker(connack=b"\x13\0\1")) as broker,
        running_sink(f"mqtt://127.0.0.1:{broker.port}", settings={"keepalive_s": 3600}),
    ):
        broker.wait_until(lambda: broker.pings > 0)


def test_without_wildcards_commands_are_subscribed_to_one_by_one() -> None:
    with (
        scripted_broker(ScriptedBroker(connack=b"\x28\0")) as broker,
        running_sink(f"mqtt://127.0.0.1:{broker.port}", names={"mic": "Mic", "line": "Line"}),
    ):
        broker.wait_until(lambda: "genrewatch/box/status" in broker.filters)
    assert broker.filters == [
        "genrewatch/box/mic/listen/set",
        "genrewatch/box/line/listen/set",
        "genrewatch/box/status",
    ]


def test_refused_messages_and_subscriptions_are_logged_once_and_degrade(caplog: pytest.LogCaptureFixture) -> None:
    with (
        scripted_broker(ScriptedBroker(puback_reason=0x97, suback_reason=0x87)) as broker,
        running_sink(f"mqtt://127.0.0.1:{broker.port}") as sink,
    ):
        for turn in range(4):
            sink.on_result("mic", ROCK if turn % 2 else JAZZ)
        broker.wait_until(lambda: len(sink.problems()) == 2 and "1 more topic" in sink.problems()[1])
        assert sink.problems()[0] == "the broker refuses subscriptions to genrewatch/box/+/listen/set (not authorized)"
        assert sink.problems()[1].startswith("the broker refuses messages on genrewatch/box/")
        assert sink.problems()[1].endswith("(quota exceeded)")
        broker.puback_reason = 0
        sink.on_result("mic", JAZZ)
        broker.wait_until(lambda: "mic/state" not in "".join(sink.problems()))
    lines = [record for record in caplog.records if record.levelno == logging.ERROR and "refuses" in record.message]
    assert len(lines) == 2


def test_a_topic_that_the_access_list_refuses_is_reported_until_it_is_accepted(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite genrewatch/box/status\ntopic readwrite genrewatch/box/+/state\ntopic read #\n")
    lines = ["allow_anonymous true", f"acl_file {acl}"]
    with (
        Mosquitto(tmp_path / "broker", lines=lines) as mosquitto,
        Watcher(mosquitto.port) as watcher,
        running_sink(mosquitto.url) as sink,
    ):
        sink.on_availability("mic", True, "")
        sink.on_result("mic", ROCK)
        watcher.next("mic/state")
        deadline = time.monotonic() + 10
        while "mic/availability" not in "".join(sink.problems()):
            assert time.monotonic() < deadline, sink.problems()
            time.sleep(0.01)
        (problem,) = sink.problems()
    assert "not authorized" in problem

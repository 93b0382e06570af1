"""No peer silences the sink: defects, bad packets, a second client with its id, foreign messages, a frozen broker."""

import json
import logging
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.servers import Watcher
from tests.sinks.mqtt_rig import ROCK, running_sink

from genrewatch.contract.errors import ConfigError
from genrewatch.sinks.mqtt import attempt, client, connection, repair
from genrewatch.sinks.mqtt.birth import BirthSequence
from genrewatch.sinks.mqtt.broker import check_access, try_broker
from genrewatch.sinks.mqtt.commands import CommandReceiver
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.scripted_broker import ScriptedBroker, publish_packet, scripted_broker

COMMAND = b"genrewatch/box/mic/listen/set"


def wait_until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_topic_that_is_not_utf_8_is_ignored_and_publishing_goes_on() -> None:
    rules = ScriptedBroker(first_packets=[publish_packet(b"genrewatch/box/\xff/listen/set", b"ON")])
    with scripted_broker(rules) as broker, running_sink(f"mqtt://127.0.0.1:{broker.port}") as sink:
        broker.wait_for("box/status")
        time.sleep(0.2)
        sink.on_result("mic", ROCK)
        broker.wait_for("mic/state")
        assert broker.connections == 1


def test_a_defect_in_a_callback_is_logged_once_with_its_traceback_and_the_connection_is_made_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(CommandReceiver, "on_message", fail)
    rules = ScriptedBroker(first_packets=[publish_packet(COMMAND, b"ON")] * 3)
    with scripted_broker(rules) as broker, running_sink(f"mqtt://127.0.0.1:{broker.port}") as sink:
        broker.wait_until(lambda: broker.connections >= 3 and not broker.first_packets)
        wait_until(lambda: sink.protocol == "5")
        sink.on_result("mic", ROCK)
        broker.wait_for("mic/state")
        assert "RuntimeError" in "".join(sink.problems())
    tracebacks = [record for record in caplog.records if record.exc_info]
    assert len(tracebacks) == 1


def test_a_network_thread_that_makes_no_progress_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "STALLED_S", 1.5)
    monkeypatch.setattr(connection, "WATCH_S", 0.05)
    monkeypatch.setattr(CommandReceiver, "on_message", lambda *_: time.sleep(4))
    rules = ScriptedBroker(first_packets=[publish_packet(COMMAND, b"ON")])
    with scripted_broker(rules) as broker, running_sink(f"mqtt://127.0.0.1:{broker.port}") as sink:
        broker.wait_until(lambda: broker.connections >= 2)
        wait_until(lambda: sink.protocol == "5")
        sink.on_result("mic", ROCK)
        broker.wait_for("mic/state")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_packet_that_is_too_large_ends_the_connection_and_then_nothing_is_subscribed_to(protocol: str) -> None:
    head = bytes([0x30]) + b"\x80\x80\x80\x64"  # a PUBLISH of 200 MB
    rules = ScriptedBroker(first_packets=[head + struct.pack(">H", len(COMMAND)) + COMMAND + b"O" * 100_000] * 9)
    settings = {"protocol": protocol}
    with scripted_broker(rules) as broker, running_sink(f"mqtt://127.0.0.1:{broker.port}", settings=settings) as sink:
        broker.wait_until(lambda: broker.connections == 3)
        wait_until(lambda: sink.protocol == protocol)
        sink.on_result("mic", ROCK)
        broker.wait_for("mic/state")
        assert "commands are not received" in "".join(sink.problems())
        assert len(rules.first_packets) <= 7
        assert broker.connections == 3


def test_two_nodes_with_one_id_are_reported_once_and_both_stay_connected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Mosquitto(tmp_path) as broker, ExitStack() as stack:
        first = stack.enter_context(running_sink(broker.url))
        wait_until(lambda: first.protocol == "5")
        second = stack.enter_context(running_sink(broker.url))
        wait_until(lambda: bool(first.problems() or second.problems()))
        wait_until(lambda: first.protocol == "5" and second.protocol == "5")
        connections = broker.log().count("New client connected")
        time.sleep(1.0)
        assert broker.log().count("New client connected") == connections
        reported = {*first.problems(), *second.problems()}
        assert reported == {
            "another client seems to use the id box at the broker: give each node an id of its own (--node)"
        }
    lines = [record for record in caplog.records if "another client seems" in record.getMessage()]
    assert {record.levelno for record in lines} == {logging.ERROR}
    assert len(lines) <= 2, "once for each node at most"


def test_a_session_that_the_broker_reports_as_taken_over_is_certain() -> None:
    rules = ScriptedBroker(first_packets=[b"\xe0\x02\x8e\x00"])
    with scripted_broker(rules) as broker, running_sink(f"mqtt://127.0.0.1:{broker.port}") as sink:
        wait_until(lambda: broker.connections == 2 and sink.protocol == "5")
        assert sink.problems() == [
            "another client uses the id box at the broker: give each node an id of its own (--node)"
        ]


def test_connections_that_are_short_for_another_reason_leave_no_suspicion() -> None:
    with (
        scripted_broker(ScriptedBroker(first_packets=[b"\xf0\x00"] * 40)) as broker,
        running_sink(f"mqtt://127.0.0.1:{broker.port}") as sink,
    ):
        broker.wait_until(lambda: broker.connections >= 8)
        assert not any("another client" in problem for problem in sink.problems())


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_retained_messages_that_others_overwrite_are_put_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setattr(repair, "DELAY_S", 0.1)
    settings = {"protocol": protocol, "discovery": True, "heartbeat_s": 1}
    with (
        Mosquitto(tmp_path) as broker,
        Watcher(broker.port) as watcher,
        running_sink(broker.url, settings=settings, names={"mic": "Mic"}, birth_delay_s=(60, 60)) as sink,
    ):
        sink.on_availability("mic", True, "")
        watcher.next("mic/config")
        watcher.next("mic/availability")
        for topic in ("genrewatch/box/status", "genrewatch/box/mic/availability"):
            watcher.publish(topic, "offline", retain=True)
            watcher.until(lambda seen, topic=topic: (seen.topic, seen.payload) == (topic, "online"))
        watcher.publish("homeassistant/device/box/mic/config", "", retain=True)
        watcher.until(lambda seen: seen.topic.endswith("mic/config") and len(seen.payload) > 100)
        watcher.settled()
        time.sleep(0.8)
        assert not any(seen.topic.endswith("/status") for seen in watcher.settled()), "own messages are not foreign"


def test_the_last_message_of_a_node_is_not_taken_for_a_foreign_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Mosquitto(tmp_path) as broker, Watcher(broker.port) as watcher:
        with running_sink(broker.url, settings={"protocol": "3.1.1"}) as sink:
            sink.on_availability("mic", True, "")
            watcher.next("mic/availability")
        watcher.until(lambda seen: (seen.topic, seen.payload) == ("genrewatch/box/status", "offline"))
    assert "another client" not in caplog.text


def test_a_broker_that_was_frozen_during_connect_is_not_taken_for_one_without_mqtt_5(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes = iter([client.Outcome.NO_REPLY, client.Outcome.CONNECTED, client.Outcome.CONNECTED])
    monkeypatch.setattr(client.MqttClient, "connect", lambda self: next(outcomes))
    connected, _ = attempt.connect(MqttConfig(url="mqtt://127.0.0.1"), "box", None, None)
    assert connected.protocol == "5"


def test_doctor_reports_what_an_access_list_refuses(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic read genrewatch/#\n")
    lines = ["allow_anonymous true", f"acl_file {acl}"]
    with Mosquitto(tmp_path / "broker", lines=lines) as broker:
        config = MqttConfig(url=broker.url)
        assert try_broker(config)
        refused = "the broker refuses messages on genrewatch/box/doctor and 1 more topic (not authorized)"
        assert check_access(config, "box") == [refused]
        assert "1 more" not in check_access(replace(config, discovery=False), "box")[0]
    with Mosquitto(tmp_path / "open") as broker:
        assert check_access(MqttConfig(url=broker.url), "box") == []
    with pytest.raises(ConfigError, match="no broker answers"):
        check_access(MqttConfig(url=broker.url), "box")


def test_a_websocket_url_selects_paho_s_websocket_transport() -> None:
    requests = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/music"
        with running_sink(url, settings={"protocol": "5"}):
            accepted, _ = server.accept()
            with accepted:
                requests.append(accepted.recv(4096))
    assert requests[0].startswith(b"GET /music HTTP/1.1")
    assert b"Sec-Websocket-Protocol: mqtt" in requests[0]


def test_messages_before_the_first_attempt_to_connect_are_not_counted_as_dropped(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker, Watcher(broker.port) as watcher, running_sink(broker.url) as sink:
        sink.on_availability("mic", True, "")
        sink.on_result("mic", ROCK)
        watcher.next("mic/state")
        sink.on_health({})
        assert json.loads(watcher.next("box/health").payload)["mqtt"]["dropped"] == 0


def test_a_defect_of_what_is_published_after_a_delay_is_reported_and_the_connection_stays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(BirthSequence, "save_if_acknowledged", lambda *_: 1 / 0)
    with (
        scripted_broker(ScriptedBroker()) as broker,
        running_sink(f"mqtt://127.0.0.1:{broker.port}", birth_delay_s=(0.01, 0.02)) as sink,
    ):
        wait_until(lambda: bool(sink.problems()))
        assert sink.problems() == ["mqtt, delayed messages: a defect of genrewatch (ZeroDivisionError), see the log"]
        sink.on_result("mic", ROCK)
        broker.wait_for("mic/state")
        assert broker.connections == 1
        monkeypatch.undo()
    assert sum(record.exc_info is not None for record in caplog.records) == 1

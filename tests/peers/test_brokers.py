"""The same story with every broker that is installed: publish, kill it, restart it, delete what it retains."""

import os
import queue
import signal
import time
from argparse import Namespace

import pytest
from paho.mqtt.client import MQTTMessage
from tests.peers.brokers import BROKERS
from tests.servers import Watcher
from tests.sinks.mqtt_rig import JAZZ, ROCK, running_sink

from genrewatch.commands.clean_mqtt import run as clean_mqtt
from genrewatch.sinks.mqtt.broker import check_access
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.sink import MqttSink
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.subscriber import Subscriber

pytestmark = pytest.mark.slow
FROZEN_S = 40
"""Longer than the keepalive and several attempts to connect."""
SETTINGS = {"discovery": True, "heartbeat_s": 2}
TOPICS = ("genrewatch/box/status", "genrewatch/box/mic/availability", "homeassistant/device/box/mic/config")


def connected(sink: MqttSink) -> str:
    deadline = time.monotonic() + 30
    while sink.protocol is None:
        assert time.monotonic() < deadline, sink.problems()
        time.sleep(0.05)
    return sink.protocol


def retained(port: int, topic: str) -> str | None:
    """Return what a broker retains on a topic, asked for exactly."""
    found = queue.SimpleQueue[MQTTMessage]()
    with Subscriber(port, found.put, topics=(topic,), v5=False):
        try:
            return found.get(timeout=1).payload.decode() or None
        except queue.Empty:
            return None


@pytest.mark.parametrize("name", BROKERS)
def test_a_node_publishes_survives_a_restart_of_the_broker_and_is_deleted(name, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("GENREWATCH_STATE", str(tmp_path / "state"))
    with BROKERS[name](tmp_path) as broker:
        broker.start()
        try:
            with running_sink(broker.url, settings=SETTINGS, names={"mic": "Mic"}) as sink:
                protocol = connected(sink)
                assert protocol == ("5" if name == "mosquitto" else "3.1.1")
                with Watcher(broker.port, v5=protocol == "5") as watcher:
                    sink.on_availability("mic", True, "")
                    sink.on_result("mic", ROCK)
                    watcher.until(lambda seen: seen.topic.endswith("mic/state") and "rock" in seen.payload)
                    watcher.publish("genrewatch/box/mic/listen/set", "OFF")
                broker.kill()
                broker.start()
                connected(sink)
                with Watcher(broker.port, v5=protocol == "5") as watcher:
                    sink.on_result("mic", JAZZ)
                    watcher.until(lambda seen: seen.topic.endswith("mic/state") and "jazz" in seen.payload, 30)
                deadline = time.monotonic() + 15
                while not all(retained(broker.port, topic) for topic in TOPICS):
                    assert time.monotonic() < deadline, [retained(broker.port, topic) for topic in TOPICS]
                assert check_access(MqttConfig(url=broker.url), "box") == []
                assert sink.problems() == []
            assert retained(broker.port, TOPICS[0]) == "offline"
            nothing = dict.fromkeys(("config", "base", "discovery_prefix"))
            arguments = Namespace(**nothing, dry_run=False, force=False, mqtt=broker.url, node="box", source=["mic"])
            assert clean_mqtt(arguments) == 0
            assert [retained(broker.port, topic) for topic in TOPICS] == [None] * 3
        finally:
            broker.kill()
    assert not any("another client" in record.getMessage() for record in caplog.records)


def test_a_broker_that_was_frozen_is_spoken_to_in_mqtt_5_again(tmp_path):
    with Mosquitto(tmp_path) as broker, running_sink(broker.url, settings={"keepalive_s": 5}) as sink:
        assert connected(sink) == "5"
        assert broker.pid
        os.kill(broker.pid, signal.SIGSTOP)
        time.sleep(FROZEN_S)
        os.kill(broker.pid, signal.SIGCONT)
        time.sleep(2)
        assert connected(sink) == "5"
        with Watcher(broker.port) as watcher:
            sink.on_result("mic", ROCK)
            watcher.until(lambda seen: seen.topic.endswith("mic/state") and "rock" in seen.payload, 30)
        assert sink.protocol == "5"

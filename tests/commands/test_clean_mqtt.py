"""`clean-mqtt` against a real Mosquitto: what is retained of one node goes, all else stays."""

import subprocess
import threading
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt import publish
from tests.servers import Watcher, no_mqtt_5
from tests.sinks.mqtt_rig import ROCK, running_sink

from genrewatch.commands.clean_mqtt import run as clean_mqtt
from genrewatch.contract.errors import ConfigError
from genrewatch.sinks.mqtt import repair
from genrewatch.sinks.mqtt.client import MqttClient
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.ports import free_port
from genrewatch_drill.servers.programs import require_program

OF_BOX = {
    "genrewatch/box/mic/availability": "offline",
    "genrewatch/box/mic/listen": "ON",
    "genrewatch/box/mic/state": "{}",
    "genrewatch/box/status": "offline",
    "homeassistant/device/box/config": "{}",
}
OF_OTHERS = {
    "genrewatch/box2/status": "online",
    "homeassistant/device/box2/config": "{}",
    "homeassistant/status": "online",
    "music/box/status": "online",
}


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mosquitto]:
    """A broker with retained messages of two nodes, on a machine without a login or a node id."""
    for variable in ("GENREWATCH_MQTT_USERNAME", "GENREWATCH_MQTT_PASSWORD"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GENREWATCH_STATE", str(tmp_path / "state"))
    with Mosquitto(tmp_path / "broker") as mosquitto:
        keep(mosquitto, {**OF_BOX, **OF_OTHERS})
        yield mosquitto


def keep(broker: Mosquitto, retained: dict[str, str], auth: dict[str, str] | None = None) -> None:
    messages = [(topic, payload, 1, True) for topic, payload in retained.items()]
    publish.multiple(messages, hostname="127.0.0.1", port=broker.port, auth=auth)


def kept(broker: Mosquitto) -> dict[str, str]:
    with Watcher(broker.port) as late:
        return {seen.topic: seen.payload for seen in late.settled() if seen.retain}


def arguments(url: str, **given: object) -> Namespace:
    nothing = dict.fromkeys(("config", "node", "base", "discovery_prefix", "source"))
    return Namespace(**{**nothing, "dry_run": False, "force": False, "mqtt": url, "node": "box", **given})


def test_all_that_is_retained_of_a_node_is_removed_and_nothing_else(broker: Mosquitto, capsys) -> None:
    assert clean_mqtt(arguments(broker.url)) == 0
    assert kept(broker) == OF_OTHERS
    assert capsys.readouterr().out.splitlines() == [*sorted(OF_BOX), "5 retained topics of box removed"]
    assert clean_mqtt(arguments(broker.url)) == 0
    assert capsys.readouterr().out == "0 retained topics of box removed\n"


def test_a_broker_without_mqtt_5_forgets_as_well(broker: Mosquitto) -> None:
    with no_mqtt_5(broker.port, b"") as port:
        assert clean_mqtt(arguments(f"mqtt://127.0.0.1:{port}")) == 0
    assert kept(broker) == OF_OTHERS


def test_a_dry_run_lists_and_deletes_nothing_even_of_a_node_that_is_online(broker: Mosquitto, capsys) -> None:
    keep(broker, {"genrewatch/box/status": "online"})
    assert clean_mqtt(arguments(broker.url, dry_run=True)) == 0
    assert capsys.readouterr().out.splitlines() == [*sorted(OF_BOX), "5 retained topics of box would be removed"]
    assert set(kept(broker)) == {*OF_BOX, *OF_OTHERS}


def test_a_node_that_is_online_is_left_alone_unless_forced(broker: Mosquitto, monkeypatch) -> None:
    monkeypatch.setattr(repair, "DELAY_S", 60.0)  # the node would publish its retained messages again
    with Watcher(broker.port) as watcher, running_sink(broker.url) as sink:
        watcher.until(lambda seen: seen.payload == "online" and not seen.retain)
        sink.on_result("mic", ROCK)
        watcher.until(lambda seen: "rock" in seen.payload)
        with pytest.raises(ConfigError, match="box: is online"):
            clean_mqtt(arguments(broker.url))
        assert set(OF_BOX) <= set(kept(broker))
        assert clean_mqtt(arguments(broker.url, force=True)) == 0
        assert kept(broker) == OF_OTHERS


def test_messages_published_meanwhile_are_neither_waited_for_nor_counted(broker: Mosquitto, capsys) -> None:
    quiet = threading.Event()

    def talk() -> None:
        with Watcher(broker.port) as speaker:
            for _ in range(2000):
                speaker.publish("genrewatch/box/mic/votes", "{}")
                if quiet.wait(0.005):
                    return

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        assert clean_mqtt(arguments(broker.url)) == 0
    finally:
        quiet.set()
        talker.join()
    assert capsys.readouterr().out.splitlines() == [*sorted(OF_BOX), "5 retained topics of box removed"]


def test_more_topics_than_can_be_under_way_at_once_are_all_removed(broker: Mosquitto, capsys) -> None:
    keep(broker, {f"genrewatch/box/source-{number}/availability": "offline" for number in range(60)})
    assert clean_mqtt(arguments(broker.url)) == 0
    assert kept(broker) == OF_OTHERS
    assert "65 retained topics of box removed" in capsys.readouterr().out


def test_base_and_prefix_of_the_file_and_of_the_command_line_are_looked_at(broker: Mosquitto, tmp_path: Path) -> None:
    keep(broker, {"ha/device/box/config": "{}"})
    file = tmp_path / "genrewatch.toml"
    file.write_text(f'node = "box"\n[mqtt]\nurl = "{broker.url}"\nbase = "music"\n')
    assert clean_mqtt(arguments(None, config=file, node=None, discovery_prefix="ha", force=True)) == 0
    gone = {"music/box/status"}
    assert kept(broker) == {topic: said for topic, said in {**OF_BOX, **OF_OTHERS}.items() if topic not in gone}


def test_without_a_name_the_node_is_the_one_of_this_machine(broker: Mosquitto, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no id is kept in .*, expected --node ID"):
        clean_mqtt(arguments(broker.url, node=None))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "node_id").write_text("box\n")
    assert clean_mqtt(arguments(broker.url, node=None)) == 0
    assert kept(broker) == OF_OTHERS


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mqtt": "none"}, "url: found none"),
        ({"mqtt": f"mqtt://127.0.0.1:{free_port()}"}, "mqtt.url: no broker answers"),
        ({"node": "+"}, "--node: found '\\+'"),
        ({"base": "a/#"}, "base: found '#'"),
    ],
)
def test_what_cannot_be_cleaned_is_one_line(broker: Mosquitto, given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        clean_mqtt(arguments(broker.url, **given))
    assert set(kept(broker)) == {*OF_BOX, *OF_OTHERS}


def test_what_the_broker_keeps_all_the_same_is_named(tmp_path: Path, capsys) -> None:
    passwords, acl = tmp_path / "passwords", tmp_path / "acl"
    program = require_program("mosquitto_passwd")
    subprocess.run([program, "-c", "-b", str(passwords), "root", "geheim"], check=True, capture_output=True)
    acl.write_text("topic readwrite genrewatch/#\ntopic read homeassistant/#\nuser root\ntopic readwrite #\n")
    lines = ["allow_anonymous true", f"password_file {passwords}", f"acl_file {acl}"]
    with Mosquitto(tmp_path / "broker", lines=lines) as broker:
        keep(broker, OF_BOX, auth={"username": "root", "password": "geheim"})
        assert clean_mqtt(arguments(broker.url)) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "4 retained topics of box removed"
    assert said.err == "genrewatch: still there, may this login write to it? homeassistant/device/box/config\n"


def test_topics_that_wildcards_do_not_bring_are_asked_for_one_by_one(broker: Mosquitto, monkeypatch, capsys) -> None:
    subscribe = MqttClient.subscribe

    def without_wildcards(self: MqttClient, topics: list[str]) -> None:
        """Subscribe like RabbitMQ, which sends no retained messages to wildcards."""
        subscribe(self, [topic for topic in topics if not set("+#") & set(topic)])

    monkeypatch.setattr(MqttClient, "subscribe", without_wildcards)
    of_mic = {"homeassistant/device/box/mic/config": "{}"}
    keep(broker, of_mic)
    assert clean_mqtt(arguments(broker.url, source=["mic"])) == 0
    assert kept(broker) == OF_OTHERS
    assert capsys.readouterr().out.splitlines()[-1] == "6 retained topics of box removed"
    keep(broker, OF_BOX | {"homeassistant/device/box/config": '{"components": {"mic.genre": {}}}'})
    assert clean_mqtt(arguments(broker.url)) == 0, "the node's discovery names the source"
    assert kept(broker) == OF_OTHERS

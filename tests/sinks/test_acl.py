"""The example access list in a real Mosquitto: what each user may say is heard, what he may not is not."""

import subprocess
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt import publish
from tests.servers import Watcher
from tests.sinks.mqtt_rig import ROCK, running_sink

from genrewatch.commands.clean_mqtt import run as clean_mqtt
from genrewatch.contract.errors import ConfigError
from genrewatch.sinks.mqtt.broker import check_access
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.programs import require_program

ACL = Path(__file__).parents[2] / "deploy" / "mosquitto.acl"
USERS = ("box", "bar", "homeassistant", "dashboard")
PASSWORD = "geheim"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    passwords = tmp_path / "passwords"
    passwords.touch()
    for user in USERS:
        command = [require_program("mosquitto_passwd"), "-b", str(passwords), user, PASSWORD]
        subprocess.run(command, check=True, capture_output=True)
    lines = ["allow_anonymous false", f"password_file {passwords}", f"acl_file {ACL}"]
    with Mosquitto(tmp_path / "broker", lines=lines) as mosquitto:
        yield mosquitto


def say(broker: Mosquitto, user: str, *topics: str) -> None:
    """Let `user` publish to each topic; the broker silently drops what it does not permit."""
    auth = {"username": user, "password": PASSWORD}
    messages = [(topic, user, 1, False) for topic in topics]
    publish.multiple(messages, hostname="127.0.0.1", port=broker.port, auth=auth)


def watcher(broker: Mosquitto, user: str = "dashboard") -> Watcher:
    return Watcher(broker.port, login=(user, PASSWORD))


def test_a_node_that_logs_in_as_itself_can_publish(broker: Mosquitto) -> None:
    login = {"username": "box", "password": PASSWORD}
    with watcher(broker) as dashboard, running_sink(broker.url, settings=login) as sink:
        assert dashboard.next("genrewatch/box/status").payload == "online"
        sink.on_availability("mic", True, "opened")
        sink.on_result("mic", ROCK)
        sink.on_health({})
        assert dashboard.next("genrewatch/box/mic/availability").payload == "online"
        assert '"rock"' in dashboard.next("genrewatch/box/mic/state").payload
        dashboard.next("genrewatch/box/health")


def test_a_node_can_publish_to_its_own_topics_and_to_no_other_nodes(broker: Mosquitto) -> None:
    own = ("genrewatch/box/status", "genrewatch/box/mic/history", "homeassistant/device/box/config")
    own += ("homeassistant/device/box/mic/config",)
    foreign = ("genrewatch/bar/status", "genrewatch/bar/mic/listen/set", "homeassistant/device/bar/config")
    nobodys = ("homeassistant/status", "genrewatch/status", "homeassistant/sensor/box/config", "elsewhere/box")
    with watcher(broker) as dashboard:
        say(broker, "box", *foreign, *nobodys, *own)
        heard = [dashboard.until(lambda seen: True).topic for _ in own]
    assert heard == list(own)


def test_a_box_gets_its_own_commands_and_not_another_boxs(broker: Mosquitto) -> None:
    with watcher(broker, "box") as box:
        say(broker, "homeassistant", "genrewatch/bar/mic/listen/set", "genrewatch/box/mic/listen/set")
        say(broker, "homeassistant", "homeassistant/status", "genrewatch/box/bundle/set")
        say(broker, "bar", "genrewatch/bar/mic/state")
        say(broker, "box", "genrewatch/box/end")
        seen = [box.until(lambda seen: True).topic for _ in range(4)]
    assert seen == [
        "genrewatch/box/mic/listen/set",
        "homeassistant/status",
        "genrewatch/box/bundle/set",
        "genrewatch/box/end",
    ]


def test_a_dashboard_sees_all_and_can_command_nothing(broker: Mosquitto) -> None:
    with watcher(broker) as dashboard:
        say(broker, "dashboard", "genrewatch/box/mic/listen/set", "genrewatch/box/bundle/set", "homeassistant/status")
        say(broker, "dashboard", "homeassistant/device/box/config", "genrewatch/box/status")
        say(broker, "bar", "genrewatch/bar/mic/state")
        assert dashboard.until(lambda seen: True).topic == "genrewatch/bar/mic/state"


def test_a_box_can_take_back_what_is_kept_of_itself_and_not_of_another(broker: Mosquitto, monkeypatch, capsys) -> None:
    monkeypatch.setattr("genrewatch.commands.clean_mqtt.ANSWER_S", 1.0)
    monkeypatch.setenv("GENREWATCH_MQTT_USERNAME", "box")
    monkeypatch.setenv("GENREWATCH_MQTT_PASSWORD", PASSWORD)
    for user in ("box", "bar"):
        login = {"username": user, "password": PASSWORD}
        publish.single(f"genrewatch/{user}/status", "offline", 1, True, port=broker.port, auth=login)
    nothing = dict.fromkeys(("config", "base", "discovery_prefix", "source"))
    given = {**nothing, "mqtt": broker.url, "dry_run": False, "force": False}
    assert clean_mqtt(Namespace(node="box", **given)) == 0
    assert capsys.readouterr().out.splitlines() == ["genrewatch/box/status", "1 retained topic of box removed"]
    with pytest.raises(ConfigError, match="no answer from genrewatch/bar/#"):
        clean_mqtt(Namespace(node="bar", **given))
    with watcher(broker) as late:
        assert late.next("genrewatch/bar/status").retain


def test_an_access_list_of_one_discovery_topic_a_node_is_reported_once_in_degraded_and_by_doctor(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("pattern readwrite genrewatch/%u/#\npattern readwrite homeassistant/device/%u/config\n")  # until 0.2
    passwords = tmp_path / "passwords"
    command = [require_program("mosquitto_passwd"), "-c", "-b", str(passwords), "box", PASSWORD]
    subprocess.run(command, check=True, capture_output=True)
    lines = ["allow_anonymous false", f"password_file {passwords}", f"acl_file {acl}"]
    login = {"username": "box", "password": PASSWORD}
    refused = "the broker refuses messages on homeassistant/device/box/{}/config (not authorized)"
    names = {"mic": "Mic"}
    with (
        Mosquitto(tmp_path / "broker", lines=lines) as broker,
        running_sink(broker.url, settings={"discovery": True, **login}, names=names, birth_delay_s=(0.1, 0.1)) as sink,
    ):
        deadline = time.monotonic() + 10
        while refused.format("mic") not in sink.problems():
            assert time.monotonic() < deadline, sink.problems()
            time.sleep(0.02)
        assert check_access(MqttConfig(url=broker.url, **login), "box") == [refused.format("doctor")]
    assert sum("device/box/mic/config" in record.getMessage() for record in caplog.records) == 1

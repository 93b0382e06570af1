"""The sink with a broker that is absent, dies, loses its messages, refuses the login or stops."""

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import Watcher
from tests.sinks.mqtt_rig import JAZZ, ROCK, running_sink

from genrewatch.sinks.mqtt.client import MqttClient
from genrewatch.sinks.mqtt.connection import Connection
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.ports import free_port
from genrewatch_drill.servers.programs import require_program

SINK_LOG = "genrewatch.sinks.mqtt.connection"
CHILD = """
import sys
from genrewatch.sinks.mqtt.sink import MqttConfig, MqttSink
from tests.sinks.mqtt_rig import MODEL
sink = MqttSink(MqttConfig(url=sys.argv[1], will_delay_s=int(sys.argv[2])), "box", MODEL)
sink.start()
sink.on_availability("mic", True, "opened")
sys.stdin.read()
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path)
    yield mosquitto
    mosquitto.kill()


class Lines(logging.Handler):
    """The log, in lines that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._more = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._more:
            self.lines.append(f"{record.levelname} {record.getMessage()}")
            self._more.notify_all()

    def wait_for(self, words: str) -> None:
        with self._more:
            assert self._more.wait_for(lambda: any(words in line for line in self.lines), 10), self.lines


@pytest.fixture
def log() -> Iterator[Lines]:
    lines, logger = Lines(), logging.getLogger(SINK_LOG)
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(lines)


def test_a_broker_that_comes_later_receives_only_the_newest_state(broker: Mosquitto, log: Lines) -> None:
    with running_sink(broker.url) as sink:
        log.wait_for("no connection")
        sink.on_availability("mic", True, "opened")
        for result in (ROCK, JAZZ, ROCK, JAZZ):
            sink.on_result("mic", result)
        broker.start()
        log.wait_for("connected")
        sink.on_health({})
        with Watcher(broker.port) as watcher:
            state = json.loads(watcher.next("mic/state").payload)
        assert (state["genre"], state["seq"]) == ("jazz", 4)
        assert sink.dropped == 13  # availability, 4 states, 4 events, 4 votes
    assert [line.split()[0] for line in log.lines] == ["WARNING", "INFO"]


def test_a_broker_that_restarts_empty_receives_everything_again(broker: Mosquitto, log: Lines) -> None:
    broker.start()
    with running_sink(broker.url) as sink:
        with Watcher(broker.port) as watcher:
            sink.on_availability("mic", True, "opened")
            sink.on_availability("line", False, "unplugged")
            sink.on_result("mic", ROCK)
            before = watcher.next("mic/state")
        broker.kill()
        log.wait_for("no connection")
        broker.start()
        with Watcher(broker.port) as watcher:
            after = watcher.next("mic/state")
        with Watcher(broker.port) as late:
            retained = {seen.topic: seen.payload for seen in late.settled()}
    assert after.payload == before.payload
    assert retained["genrewatch/box/status"] == "online"
    assert retained["genrewatch/box/mic/availability"] == "online"
    assert retained["genrewatch/box/line/availability"] == "offline"
    assert [line.split()[0] for line in log.lines] == ["INFO", "WARNING", "INFO"]


def test_a_state_that_has_expired_meanwhile_is_not_published(broker: Mosquitto, log: Lines) -> None:
    now = [1000.0]
    with running_sink(broker.url, monotonic=lambda: now[0]) as sink:
        sink.on_result("old", ROCK)
        now[0] += 60
        sink.on_result("young", ROCK)
        now[0] += 60
        broker.start()
        log.wait_for("connected")
        sink.on_result("new", ROCK)
        with Watcher(broker.port) as watcher:
            watcher.next("new/state")
        with Watcher(broker.port) as late:
            states = {seen.topic: seen for seen in late.settled() if seen.topic.endswith("state")}
    assert {topic.split("/")[2] for topic in states} == {"young", "new"}
    assert states["genrewatch/box/young/state"].properties["MessageExpiryInterval"] <= 60


def test_a_refused_login_is_logged_once_and_recovers_when_the_broker_accepts_it(tmp_path: Path, log: Lines) -> None:
    passwords = tmp_path / "passwords"
    program = require_program("mosquitto_passwd")
    subprocess.run([program, "-c", "-b", str(passwords), "box", "other"], check=True, capture_output=True)
    broker = Mosquitto(tmp_path / "broker", lines=["allow_anonymous false", f"password_file {passwords}"])
    with broker, running_sink(broker.url, settings={"username": "box", "password": "geheim"}):
        log.wait_for("refuses the login")
        deadline = time.monotonic() + 10
        while broker.log().count("not authorised") < 5 and time.monotonic() < deadline:
            time.sleep(0.05)  # only the broker knows how often we tried
        assert len(log.lines) == 1
        subprocess.run([program, "-b", str(passwords), "box", "geheim"], check=True, capture_output=True)
        broker.kill()
        broker.start()
        log.wait_for("connected")
        with Watcher(broker.port, login=("box", "geheim")) as watcher:
            assert watcher.next("box/status").payload == "online"
    assert [line.split()[0] for line in log.lines if "no connection" not in line] == ["ERROR", "INFO"]
    assert "geheim" not in "".join(log.lines)


@pytest.mark.parametrize("will_delay_s", [0, 1])
def test_the_will_of_a_killed_daemon_is_offline(broker: Mosquitto, will_delay_s: int) -> None:
    broker.start()
    with Watcher(broker.port) as watcher:
        command = [sys.executable, "-c", CHILD, broker.url, str(will_delay_s)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
            assert watcher.next("mic/availability").payload == "online"
            child.kill()
            assert watcher.until(lambda seen: seen.payload == "offline").topic == "genrewatch/box/status"
    with Watcher(broker.port) as late:
        assert {seen.topic: seen.payload for seen in late.settled()}["genrewatch/box/status"] == "offline"


def test_a_daemon_that_is_back_within_the_will_delay_was_never_offline(broker: Mosquitto) -> None:
    broker.start()
    with Watcher(broker.port) as watcher:
        command = [sys.executable, "-c", CHILD, broker.url, "3"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
            watcher.next("mic/availability")
            child.kill()
        with running_sink(broker.url, settings={"will_delay_s": 3}):
            assert watcher.next("box/status").payload == "online"
    assert broker.log().count("as box (p5, c0, k30)") == 2, "a clean start would end the session, and with it the delay"


def test_a_clean_stop_publishes_offline_for_the_sources_and_then_the_node(broker: Mosquitto) -> None:
    broker.start()
    with Watcher(broker.port) as watcher:
        with running_sink(broker.url) as sink:
            sink.on_availability("mic", True, "opened")
            watcher.next("mic/availability")
            began = time.monotonic()
        assert time.monotonic() - began < 2
        said = [(seen.topic, seen.payload) for seen in watcher.settled()]
        sink.on_result("mic", ROCK)
        assert watcher.settled() == []
    assert said == [("genrewatch/box/mic/availability", "offline"), ("genrewatch/box/status", "offline")]


def test_a_stop_without_a_broker_is_quick() -> None:
    with running_sink(f"mqtt://127.0.0.1:{free_port()}") as sink:
        sink.on_result("mic", ROCK)
        began = time.monotonic()
    assert time.monotonic() - began < 2


def test_a_broker_that_hangs_delays_the_stop_by_less_than_five_seconds(broker: Mosquitto, log: Lines) -> None:
    broker.start()
    with running_sink(broker.url) as sink:
        log.wait_for("connected")
        broker.freeze()
        sink.on_result("mic", ROCK)
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_threads_of_several_sources_can_publish_at_once(broker: Mosquitto) -> None:
    broker.start()
    with Watcher(broker.port) as watcher, running_sink(broker.url) as sink:
        watcher.next("box/status")

        def publish(source: str) -> None:
            for turn in range(50):
                sink.on_result(source, ROCK if turn % 2 else JAZZ)

        threads = [threading.Thread(target=publish, args=(f"s{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        numbers: list[int] = []
        while len(numbers) < 200:
            numbers.append(json.loads(watcher.next("/state").payload)["seq"])
    assert numbers == list(range(1, 201))


def test_a_broker_with_tls_and_client_certificates_is_served(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", *kind, *name, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    tls = [f"cafile {certificate}", f"certfile {certificate}", f"keyfile {key}", "require_certificate true"]
    plain = free_port()
    lines = ["allow_anonymous true", *tls, f"listener {plain} 127.0.0.1"]
    files = {"ca_file": str(certificate), "cert_file": str(certificate), "key_file": str(key)}
    with (
        Mosquitto(tmp_path / "broker", lines=lines) as broker,
        Watcher(plain) as watcher,
        running_sink(broker.url.replace("mqtt:", "mqtts:"), settings=files) as sink,
    ):
        assert watcher.next("box/status").payload == "online"
        assert sink.protocol == "5"


def test_messages_between_the_first_connection_and_its_birth_are_not_counted_as_dropped(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve = Connection._serve

    def publish_first(connection: Connection, client: MqttClient) -> None:
        sink.on_health({})
        sink.on_result("mic", ROCK)
        serve(connection, client)

    monkeypatch.setattr(Connection, "_serve", publish_first)
    broker.start()
    with Watcher(broker.port) as watcher, running_sink(broker.url) as sink:
        assert json.loads(watcher.next("mic/state").payload)["genre"] == "rock"
        assert sink.dropped == 0

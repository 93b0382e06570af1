"""`auto` finds the broker on this machine, starts an embedded one, or reports how to get one."""

import importlib.util
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers import Watcher
from tests.sinks.mqtt_rig import MODEL, QUICK, ROCK

from genrewatch.contract.errors import ConfigError
from genrewatch.sinks.mqtt.broker import answers, open_broker, try_broker
from genrewatch.sinks.mqtt.sink import MqttConfig, MqttSink
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.ports import free_port, wait_until_closed
from genrewatch_drill.servers.programs import require_program


def test_a_url_passes_through_unasked() -> None:
    with open_broker("mqtt://nowhere.invalid:2000") as broker:
        assert broker.url == "mqtt://nowhere.invalid:2000"
        assert broker.apply(MqttConfig(protocol="5")) == MqttConfig(url=broker.url, protocol="5")
        watch = broker.watch(MqttConfig(), "box")
        assert watch == "mosquitto_sub -h nowhere.invalid -p 2000 -t 'genrewatch/box/#' -v"


@pytest.mark.parametrize("client_certificate", [False, True])
def test_the_printed_command_works_with_tls_and_a_login(tmp_path: Path, client_certificate: bool) -> None:
    key, certificate, passwords = tmp_path / "key.pem", tmp_path / "a cert.pem", tmp_path / "passwords"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    openssl = [require_program("openssl"), "req", *kind, *name, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(openssl, check=True, capture_output=True)
    passwords.touch()
    subprocess.run([require_program("mosquitto_passwd"), "-b", passwords, "it's me", "s3cret"], check=True)
    lines = [f"certfile {certificate}", f"keyfile {key}", f"password_file {passwords}", "allow_anonymous false"]
    lines += [f"cafile {certificate}", "require_certificate true"] if client_certificate else []
    client = {"cert_file": str(certificate), "key_file": str(key)} if client_certificate else {}
    with Mosquitto(tmp_path / "broker", lines=lines) as mosquitto:
        url = f"mqtts://localhost:{mosquitto.port}"
        config = MqttConfig(url=url, ca_file=str(certificate), username="it's me", password="s3cret", **client)
        with open_broker(url) as broker:
            watch = broker.watch(config, "box")
        assert "s3cret" not in watch
        sink = MqttSink(config, "box", MODEL, reconnect=QUICK)
        sink.start()
        command = f"{watch.replace('PASSWORD', 's3cret')} -C 1 -W 10"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        sink.close()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("genrewatch/box/")


def test_the_printed_command_names_the_systems_authorities() -> None:
    with open_broker("mqtts://h") as broker:
        assert broker.watch(MqttConfig(url="mqtts://h"), "box").startswith(
            "mosquitto_sub -h h -p 8883 --tls-use-os-certs"
        )


def test_a_url_with_a_login_is_refused() -> None:
    with pytest.raises(ConfigError, match="holds a login"), open_broker("mqtt://a:b@c"):
        pass


def test_auto_takes_the_broker_that_answers(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as mosquitto, open_broker("auto", port=mosquitto.port) as broker:
        assert broker.url == f"mqtt://localhost:{mosquitto.port}"
        assert "answers on localhost" in broker.description


def test_a_broker_that_refuses_us_does_not_count_as_answering(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, lines=["allow_anonymous false"]) as mosquitto:
        assert not answers("localhost", mosquitto.port)
        with open_broker("auto", port=mosquitto.port) as broker:
            assert broker.url.startswith("mqtt://127.0.0.1:")
            assert broker.url != f"mqtt://127.0.0.1:{mosquitto.port}"
            assert "embedded" in broker.description


def test_the_embedded_broker_serves_the_sink_and_mosquitto_sub_and_ends_with_us(
    capfd: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    with open_broker("auto", port=port) as broker:
        assert broker.url == f"mqtt://127.0.0.1:{port}"
        sink = MqttSink(broker.apply(MqttConfig(discovery=False)), "box", MODEL, reconnect=QUICK)
        with Watcher(port, v5=False) as watcher:
            sink.start()
            sink.on_availability("mic", True, "opened")
            sink.on_result("mic", ROCK)
            assert json.loads(watcher.next("mic/state").payload)["genre"] == "rock"
        command = [
            require_program("mosquitto_sub"),
            "-p",
            str(port),
            "-t",
            "genrewatch/#",
            "-F",
            "%r %t %p",
            "-C",
            "2",
        ]
        lines = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.splitlines()
        assert sorted(lines) == ["1 genrewatch/box/mic/availability online", "1 genrewatch/box/status online"]
        sink.close()
        assert answers("127.0.0.1", port)
    assert not answers("127.0.0.1", port)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_3_1_1_broker_on_localhost_is_used_though_it_does_not_answer_mqtt_5() -> None:
    port = free_port()
    with open_broker("auto", port=port), open_broker("auto", port=port) as found:
        assert found.protocol == "auto"
        sink = MqttSink(found.apply(MqttConfig(discovery=False)), "box", MODEL, reconnect=QUICK)
        with Watcher(port, v5=False) as watcher:
            sink.start()
            assert watcher.next("box/status", timeout_s=15).payload == "online"
        sink.close()


def test_the_embedded_broker_ends_when_its_parent_is_killed() -> None:
    port = free_port()
    parent = f"""
import sys
from genrewatch.sinks.mqtt.broker import open_broker
with open_broker("auto", port={port}):
    print(1, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        assert answers("127.0.0.1", port)
        process.kill()
        process.wait()
    wait_until_closed(port)


def test_without_amqtt_the_broker_that_is_absent_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    port = free_port()
    with open_broker("auto", port=port) as broker:
        assert broker.url == f"mqtt://localhost:{port}"
        assert "no broker answers" in broker.description


def test_the_probe_leaves_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert not answers("localhost", free_port())
    assert caplog.records == []


def test_trying_a_broker_returns_its_version_and_does_not_disturb_the_running_daemon(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as mosquitto, Watcher(mosquitto.port) as watcher:
        sink = MqttSink(MqttConfig(url=mosquitto.url, discovery=False), "box", MODEL, reconnect=QUICK)
        sink.start()
        assert watcher.next("box/status").payload == "online"
        assert try_broker(MqttConfig(url=mosquitto.url)) == f"{mosquitto.url} accepts the login, MQTT 5"
        assert watcher.settled() == []
        sink.close()


def test_trying_a_broker_that_is_absent_or_refuses_the_login_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no broker answers at mqtt://127\.0\.0\.1"):
        try_broker(MqttConfig(url=f"mqtt://127.0.0.1:{free_port()}"))
    with (
        Mosquitto(tmp_path, lines=["allow_anonymous false"]) as mosquitto,
        pytest.raises(ConfigError, match=r"the broker refuses the login at .* \(not authorized\)"),
    ):
        try_broker(MqttConfig(url=mosquitto.url))

"""`doctor --config`: what will run is tried, with real brokers; what is refused or down is exit code 1."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from genrewatch.cli import main
from genrewatch.host.node import held_node_id
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.ports import free_port


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("GENREWATCH_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def broker(tmp_path):
    """A broker with the login box, geheim."""
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "box", "geheim"], check=True, capture_output=True)
    with Mosquitto(tmp_path / "broker", lines=["allow_anonymous false", f"password_file {passwords}"]) as running:
        yield running


def configured(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "genrewatch.toml"
    path.write_text(text)
    path.chmod(0o600)
    return ["doctor", "--json", "--config", str(path)]


def checks(capsys) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in map(json.loads, capsys.readouterr().out.splitlines())}


def test_what_works_is_exit_0_and_a_refused_login_1(broker, tmp_path, capsys, monkeypatch):
    command = configured(
        tmp_path,
        f'[[source]]\nuri = "demo:?pace=max"\n[mqtt]\nurl = "{broker.url}"\nusername = "box"\npassword = "geheim"',
    )
    assert main(command) == 0
    found = checks(capsys)
    assert found["config"]["detail"].endswith("genrewatch.toml: no faults")
    assert "accepts the login" in found["broker"]["detail"]
    assert found["source demo"]["detail"].startswith("sound arrives, -")
    monkeypatch.setenv("GENREWATCH_MQTT_PASSWORD", "falsch")
    assert main(command) == 1
    found = checks(capsys)
    assert found["broker"]["result"] == "wrong"
    assert "refuses the login" in found["broker"]["detail"]
    assert "falsch" not in str(found)


def test_a_named_broker_that_is_down_is_wrong_in_a_file_and_as_an_option(tmp_path, capsys):
    url = f"mqtt://127.0.0.1:{free_port()}"
    assert main(configured(tmp_path, f'[[source]]\nuri = "demo:?pace=max"\n[mqtt]\nurl = "{url}"')) == 1
    assert checks(capsys)["broker"]["result"] == "wrong"
    assert main(["doctor", "--json", "--mqtt", url]) == 1
    assert "no broker answers" in checks(capsys)["broker"]["detail"]


@pytest.mark.parametrize("url", ["mqtt//host", "mqtt://box:geheim@host", "mqtt://host:99999"])
def test_a_malformed_url_is_a_line_and_exit_1(url, tmp_path, capsys):
    assert main(configured(tmp_path, f'[mqtt]\nurl = "{url}"')) == 1
    found = checks(capsys)
    assert "mqtt.url" in found["config"]["detail"]
    assert "broker" not in found
    assert found["bundle"]["result"] == "ok"
    assert main(["doctor", "--json", "--mqtt", url]) == 1
    found = checks(capsys)
    assert found["broker"]["result"] == "wrong"
    assert "geheim" not in str(found)


def test_sources_and_hooks_that_do_not_work_are_wrong_and_nothing_is_run(tmp_path, capsys):
    marker = tmp_path / "was-run"
    text = f"""
[mqtt]
url = "none"
[[source]]
uri = "file:{tmp_path}/nowhere.wav"
[[hook]]
on = ["dead_air"]
command = "{tmp_path}/nowhere --now"
[[hook]]
on = ["dead_air"]
command = "touch {marker}"
[[hook]]
on = ["dead_air"]
url = "http://127.0.0.1:{free_port()}/secret"
"""
    assert main(configured(tmp_path, text)) == 1
    found = checks(capsys)
    assert {name for name, check in found.items() if check["result"] == "wrong"} == {"source file", "hook 0", "hook 2"}
    assert found["hook 1"]["detail"] == "touch can run; it was not run"
    assert "secret" not in str(found)
    assert not marker.exists()


def test_sources_that_a_running_daemon_uses_are_left_to_it(state, tmp_path, capsys):
    command = configured(tmp_path, 'node = "box"\n[mqtt]\nurl = "none"\n[[source]]\nuri = "demo:"')
    with held_node_id(state, "box"):
        assert main(command) == 0
    found = checks(capsys)
    assert "runs as box" in found["sources"]["detail"]
    assert "source demo" not in found


def test_the_user_of_the_checks_is_named_and_an_unknown_one_refused(tmp_path, capsys, monkeypatch):
    command = configured(tmp_path, '[mqtt]\nurl = "none"\n[[source]]\nuri = "demo:?pace=max"')
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main(command) == 0
    user = checks(capsys)["user"]
    assert user["result"] == "absent"
    assert "--user NAME" in user["detail"]
    assert "systemd-run --pipe" in user["detail"]
    assert main([*command, "--user", "nobody-of-this-name"]) == 2
    assert "no user nobody-of-this-name" in capsys.readouterr().err


def test_the_checks_give_up_root_for_the_service_s_user(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name in ("setgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda value, name=name: calls.append((name, value)))
    monkeypatch.setattr("genrewatch.commands.doctor.run_checks", lambda config: [])
    assert main([*configured(tmp_path, '[mqtt]\nurl = "none"'), "--user", "nobody"]) in (0, 1)
    assert [name for name, _ in calls] == ["setgroups", "setgid", "setuid"]
    assert calls[2][1] != 0

"""The Home Assistant app without a supervisor: its files agree, and its start takes the login from a fake one."""

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from genrewatch import __version__
from genrewatch.daemon.config import load_config

APP = Path(__file__).parents[2] / "deploy" / "home_assistant_app"
SERVICE = {
    "host": "core-mosquitto",
    "port": 1883,
    "ssl": False,
    "username": "addons",
    "password": 'a"b\\c',
    "protocol": "3.1.1",
}


@pytest.fixture
def config() -> dict[str, Any]:
    return dict(yaml.safe_load((APP / "config.yaml").read_text(encoding="utf-8")))


class Supervisor(BaseHTTPRequestHandler):
    """Answers like the supervisor's API: `services/mqtt` for a valid token, 400 where there is no broker."""

    service: dict[str, Any] | None = SERVICE

    def do_GET(self) -> None:
        allowed = self.path == "/services/mqtt" and self.headers["Authorization"] == "Bearer token"
        body = json.dumps({"result": "ok", "data": self.service}).encode()
        self.send_response(200 if allowed and self.service else 400 if allowed else 403)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def supervisor() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Supervisor)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def start(tmp_path: Path, supervisor: str, options: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """Run the app's start with a program in place of genrewatch; return its arguments and its environment."""
    (tmp_path / "options.json").write_text(json.dumps(options), encoding="utf-8")
    program = tmp_path / "bin" / "genrewatch"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    environment = {
        "PATH": f"{program.parent}:/usr/bin:/bin",
        "SUPERVISOR_API": supervisor,
        "SUPERVISOR_TOKEN": "token",
        "GENREWATCH_APP_DATA": str(tmp_path),
        "GENREWATCH_APP_CONFIG": str(tmp_path / "config"),
        "GENREWATCH_APP_USER": str(os.getuid()),
    }
    done = subprocess.run([sys.executable, APP / "run.py"], env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    arguments, found = json.loads(done.stdout.splitlines()[-1])
    return arguments, found


def test_the_login_comes_from_the_supervisor(tmp_path: Path, supervisor: str) -> None:
    sources = [{"uri": "demo:", "id": "radio", "name": 'Radio "Ö" 🎷'}]
    arguments, environment = start(tmp_path, supervisor, {"sources": sources, "mqtt_url": ""})
    assert arguments == ["listen", "--config", str(tmp_path / "genrewatch.toml")]
    listen = load_config(tmp_path / "genrewatch.toml")
    assert listen.mqtt.url == "mqtt://core-mosquitto:1883"
    assert (listen.source[0].uri, listen.source[0].name) == ("demo:", 'Radio "Ö" 🎷')
    assert (listen.web.host, listen.web.proxy) == ("0.0.0.0", "172.30.32.2")
    assert environment["GENREWATCH_MQTT_USERNAME"] == "addons"
    assert environment["GENREWATCH_MQTT_PASSWORD"] == 'a"b\\c'
    assert "SUPERVISOR_TOKEN" not in environment
    assert 'a"b\\c' not in (tmp_path / "genrewatch.toml").read_text(encoding="utf-8")


def test_another_broker_is_used_if_it_is_named(tmp_path: Path, supervisor: str) -> None:
    options = {"sources": [], "mqtt_url": "mqtts://broker", "mqtt_username": "box", "mqtt_password": "secret"}
    _, environment = start(tmp_path, supervisor, options)
    settings = tomllib.loads((tmp_path / "genrewatch.toml").read_text(encoding="utf-8"))
    assert settings["mqtt"]["url"] == "mqtts://broker"
    assert settings["source"] == [{"uri": "auto"}]
    assert environment["GENREWATCH_MQTT_PASSWORD"] == "secret"


def test_it_listens_without_a_broker(tmp_path: Path, supervisor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Supervisor, "service", None)
    start(tmp_path, supervisor, {"sources": []})
    assert load_config(tmp_path / "genrewatch.toml").mqtt.url == "none"


def test_a_configuration_of_the_user_replaces_the_options(tmp_path: Path, supervisor: str) -> None:
    own = tmp_path / "config" / "genrewatch.toml"
    own.parent.mkdir()
    own.write_text("", encoding="utf-8")
    assert start(tmp_path, supervisor, {"sources": []})[0] == ["listen", "--config", str(own)]


def test_the_description_is_complete(config: dict[str, Any]) -> None:
    assert config["version"] == __version__
    assert set(config["arch"]) == {"aarch64", "amd64"}
    assert {"name", "slug", "description", "ingress", "options", "schema"} <= set(config)
    assert set(config["options"]) <= set(config["schema"])
    for name in ("DOCS.md", "apparmor.txt", "icon.png", "logo.png"):
        assert (APP / name).stat().st_size > 0


def test_every_type_of_the_schema_is_one_that_the_supervisor_knows(config: dict[str, Any]) -> None:
    known = re.compile(r"(str|bool|int|float|email|url|password|port|match\(.*\)|list\(.+\))\??")
    types = [
        kind
        for value in config["schema"].values()
        for kind in (value[0].values() if isinstance(value, list) else [value])
    ]
    assert all(known.fullmatch(kind) for kind in types)


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_option_has_its_words(config: dict[str, Any], language: str) -> None:
    words = yaml.safe_load((APP / "translations" / f"{language}.yaml").read_text(encoding="utf-8"))["configuration"]
    assert set(words) == set(config["schema"])
    assert all(set(entry) == {"name", "description"} for entry in words.values())

"""The diagnosis file and the checks of the page: complete, without secrets, and nothing waits for them."""

import json
import logging
import time
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from tests.web.rig import served, until

from genrewatch.cli import main
from genrewatch.daemon.config import load_config
from genrewatch.daemon.shown_config import shown_config
from genrewatch.host.recent_lines import MAX_LINES, RecentLines
from genrewatch.sinks.web import doctor as doctor_module
from genrewatch.sinks.web.doctor import Doctor
from genrewatch.sinks.web.node_api import Support

SECRETS = ("hunter2", "topsecret", "t0k3n", "path-token", "viewer")
CONFIG = """
[[source]]
uri = "https://viewer:hunter2@radio.example/path-token/live?key=t0k3n"
[[source]]
uri = "cmd:player --login topsecret"
id = "player"
[mqtt]
url = "mqtt://broker.example"
username = "node"
password = "hunter2"
[web]
password = "topsecret"
port = 8799
[[hook]]
on = ["dead_air"]
url = "https://ntfy.example/path-token?auth=t0k3n"
headers = {"Authorization" = "Bearer t0k3n"}
[[hook]]
on = ["dead_air"]
command = "notify --token t0k3n"
[[hook]]
on = ["dead_air"]
notify = ["tgram://t0k3n/chat", "ntfy://path-token"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "genrewatch.toml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    return path


def files(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(BytesIO(data)) as found:
        return {name: found.read(name).decode() for name in found.namelist()}


def test_the_settings_are_shown_without_secrets(config: Path) -> None:
    text = json.dumps(shown_config(load_config(config)))
    assert not [secret for secret in SECRETS if secret in text]
    for kept in (
        "radio.example",
        "cmd:player",
        "broker.example",
        '"node"',
        "ntfy.example",
        "notify",
        "8799",
        "tgram://removed",
    ):
        assert kept in text, kept


def test_the_file_holds_health_settings_log_checks_and_versions_without_secrets(config: Path) -> None:
    lines = ["radio: https://viewer:hunter2@radio.example/path-token/live?key=t0k3n failed"]
    support = Support(config=lambda: shown_config(load_config(config)), log_lines=lambda: lines)
    with served(support=support) as node:
        node.control.degraded = ["hook 0: https://ntfy.example/path-token: HTTP 403", "hook 2: tgram://t0k3n/chat"]
        answer = node.get("api/v1/diagnosis.zip")
    found = files(answer.body)
    assert answer.headers["Content-Type"] == "application/zip"
    assert set(found) == {"README.txt", "versions.json", "config.json", "health.json", "doctor.json", "log.txt"}
    assert not [secret for secret in SECRETS if any(secret in text for text in found.values())]
    assert "https://radio.example failed" in found["log.txt"]
    assert json.loads(found["health.json"])["degraded"] == [
        "hook 0: https://ntfy.example HTTP 403",
        "hook 2: tgram://...",
    ]
    assert "numpy" in json.loads(found["versions.json"])["packages"]


def test_the_command_asks_the_running_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "d.zip"
    with served(support=Support(log_lines=lambda: ["a line of the log"])) as node:
        address = node.url.removeprefix("http://").rstrip("/")
        assert main(["diagnose", "-o", str(output), "--web", address]) == 0
    found = files(output.read_bytes())
    assert found["log.txt"] == "a line of the log\n"
    assert json.loads(found["health.json"])["node"] == "box"
    assert "golden vectors agree" in found["doctor.json"]
    assert output.stat().st_mode & 0o777 == 0o600
    assert main(["diagnose", "-o", str(output), "--web", address]) == 0
    assert f"no daemon answers at http://{address}" in files(output.read_bytes())["daemon.txt"]
    assert main(["diagnose", "-o", str(tmp_path / "absent" / "d.zip"), "--web", "none"]) == 2


def test_the_checks_run_in_a_child_one_at_a_time_and_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = "import time; time.sleep(60)"
    monkeypatch.setattr(doctor_module, "CODE", slow)
    doctor = Doctor()
    with served(support=Support(doctor=doctor)) as node:
        started = time.monotonic()
        for _ in range(3):
            assert node.post("api/v1/doctor", {}).status == 202
        assert node.get("api/v1/doctor").json["running"] is True
        assert node.get("api/v1/state").status == 200
        assert time.monotonic() - started < 5
        until(lambda: doctor._child is not None)
    until(lambda: doctor.result["running"] is False, 10)


def test_checks_that_crash_or_take_too_long_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for code, limit_s, text in (
        ("import sys; sys.exit('broken')", 30.0, "the checks failed (exit code 1): broken"),
        ("import time; time.sleep(60)", 0.2, "the checks take more than 0.2 s"),
    ):
        monkeypatch.setattr(doctor_module, "CODE", code)
        monkeypatch.setattr(doctor_module, "LIMIT_S", limit_s)
        doctor = Doctor()
        doctor.start()
        until(lambda doctor=doctor: not doctor.result["running"], 20)
        assert doctor.result["error"] == text
        assert doctor.result["checks"] == []


def test_the_log_is_bounded() -> None:
    recent = RecentLines()
    for number in range(MAX_LINES + 5):
        recent.emit(logging.LogRecord("a", logging.INFO, "", 1, "line %d", (number,), None))
    assert len(recent.lines()) == MAX_LINES
    assert recent.lines()[-1].endswith(f"INFO line {MAX_LINES + 4}")

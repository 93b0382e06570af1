"""`deploy/install.sh` without changing anything; `deploy/test` runs it in a clean Debian tree."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


def install(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(DEPLOY / "install.sh"), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


needs_debian = pytest.mark.skipif(
    not (shutil.which("apt-get") and shutil.which("dpkg-query")), reason="this machine is not Debian"
)


@needs_debian
def test_a_dry_run_prints_each_step_and_no_password() -> None:
    done = install("--dry-run", "--broker", "mqtt://broker", "--username", "kitchen", GENREWATCH_MQTT_PASSWORD="hidden")
    assert done.returncode == 0, done.stderr
    for step in (
        "environment: ",
        "configuration: mqtt.url = mqtt://broker",
        "login: mqtt.username = kitchen",
        "unit: ",
        "doctor: ",
    ):
        assert f"install.sh: {step}" in done.stdout
    assert "hidden" not in done.stdout + done.stderr


@needs_debian
def test_an_upgrade_needs_an_installation(tmp_path: Path) -> None:
    done = install("--dry-run", "--upgrade")
    if not Path("/opt/genrewatch/bin/python").exists():
        assert done.returncode == 2
        assert "nothing is installed" in done.stderr


@pytest.mark.parametrize(
    ("argument", "reason"), [("--whel", "unknown option --whel"), ("--wheel", "--wheel needs a value")]
)
def test_a_wrong_option_is_one_line(argument: str, reason: str) -> None:
    done = install(argument)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"install.sh: {reason}"


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck on this machine")
def test_shellcheck_finds_nothing_in_the_scripts_of_the_ways_in() -> None:
    scripts = [DEPLOY / "install.sh", *sorted((DEPLOY / "test").glob("*.sh"))]
    done = subprocess.run(["shellcheck", "-x", *map(str, scripts)], capture_output=True, text=True, cwd=DEPLOY.parent)
    assert done.returncode == 0, done.stdout

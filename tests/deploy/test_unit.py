"""The systemd units: systemd's own analysis of them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "genrewatch.service"
HIGHEST = 2.0

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (apt install systemd)"
)


def analysed(*arguments: str) -> str:
    answer = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)
    return answer.stdout + answer.stderr


def test_the_exposure_of_the_service_is_low():
    printed = analysed("security", "--offline=true", str(UNIT))
    assert float(re.search(r"Overall exposure level for genrewatch.service: ([0-9.]+)", printed)[1]) <= HIGHEST
    assert "ignoring" not in printed


@pytest.mark.parametrize("name", ["genrewatch.service", "genrewatch-user.service"])
def test_systemd_finds_no_fault_in_the_unit(name, tmp_path):
    text = re.sub(r"=\S+/bin/genrewatch ", "=/bin/true ", (DEPLOY / name).read_text())
    (tmp_path / name).write_text(text)
    assert analysed("verify", str(tmp_path / name)) == ""

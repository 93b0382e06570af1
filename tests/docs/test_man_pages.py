"""The man pages and the completion of bash, made from the command line."""

import shutil
import subprocess
from pathlib import Path

import pytest
from docs.scripts.man_pages import main

from genrewatch.cli import COMMANDS


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("man")
    main(str(directory), "1.2.3")
    return directory


def test_every_command_has_a_page(pages: Path) -> None:
    names = {path.name for path in pages.glob("*.1")}
    assert names == {"genrewatch.1", *(f"genrewatch-{command}.1" for command in COMMANDS)}
    assert r"\-\-source URI" in (pages / "genrewatch-listen.1").read_text(encoding="utf-8")


@pytest.mark.skipif(not shutil.which("man"), reason="no man on this machine")
def test_man_shows_a_page_without_warnings(pages: Path) -> None:
    command = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(pages / "genrewatch-listen.1")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash on this machine")
@pytest.mark.parametrize(
    ("typed", "expected"), [("genrewatch lis", "listen"), ("genrewatch listen --conf", "--config")]
)
def test_bash_completes_commands_and_options(pages: Path, typed: str, expected: str) -> None:
    words = typed.split()
    script = f'source "$1"; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _genrewatch; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script, "bash", pages / "genrewatch.bash"], capture_output=True, text=True)
    assert done.stdout.split() == [expected]

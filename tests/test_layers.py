"""The layering check fails when a module is moved out of its layer: each kind of breach is tried on a copy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(cache_dir=None))"

BREACHES = {
    "the daemon imports the drill": ("edge/genrewatch/daemon/daemon.py", "import genrewatch_drill"),
    "a sink imports the daemon": ("edge/genrewatch/sinks/printer.py", "import genrewatch.daemon.config"),
    "the history imports a sink": ("edge/genrewatch/history/spell.py", "import genrewatch.sinks.sink"),
    "a source imports the pipeline of the daemon": (
        "edge/genrewatch/sources/uri.py",
        "import genrewatch.daemon.daemon",
    ),
    "the audio imports the inference": ("edge/genrewatch/audio/level.py", "import genrewatch.inference.pipeline"),
    "the host imports the audio": ("edge/genrewatch/host/paths.py", "import genrewatch.audio.pcm"),
    "the contract imports the host": ("edge/genrewatch/contract/ids.py", "import genrewatch.host.paths"),
    "the contract imports a library": ("edge/genrewatch/contract/decode.py", "import soxr"),
    "the rig imports a campaign": ("edge/genrewatch_drill/rig/sounds.py", "import genrewatch_drill.campaigns.report"),
    "a server imports the rig": ("edge/genrewatch_drill/servers/ports.py", "import genrewatch_drill.rig.results"),
    "a module of the drill is in no layer": ("edge/genrewatch_drill/stray.py", '"""A module at the root."""'),
    "the device imports the lab": ("edge/genrewatch/commands/classify.py", "import genrewatch_trainer.run"),
    "the data of the lab import a command": (
        "trainer/genrewatch_trainer/data/store.py",
        "import genrewatch_trainer.commands.fit",
    ),
    "the lab imports a sink": ("trainer/genrewatch_trainer/evaluation/metrics.py", "import genrewatch.sinks.printer"),
    "a conversion imports the bundle": ("export/genrewatch_export/convert.py", "import genrewatch_export.bundle"),
    "a module of the lab is in no layer": ("trainer/genrewatch_trainer/stray.py", '"""A module at the root."""'),
    "the trainer imports the exporter": ("trainer/genrewatch_trainer/run.py", "import genrewatch_export.bundle"),
    "a module is in no layer": ("edge/genrewatch/stray.py", '"""A module at the root."""'),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("edge", "trainer", "export"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.tflite", "*.npz"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(copy: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(str(copy / name) for name in ("edge", "trainer", "export"))
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(
        command, cwd=copy, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )


def test_the_layers_hold(copy):
    assert lint(copy).returncode == 0


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_seen(copy, name):
    path, line = BREACHES[name]
    file = copy / path
    file.write_text((file.read_text() if file.exists() else "") + f"\n{line}\n")
    found = lint(copy)
    assert found.returncode == 1, found.stdout
    assert "BROKEN" in found.stdout

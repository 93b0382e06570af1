import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.lab import write_store

from genrewatch import __version__
from genrewatch_export.cli import main as export_main
from genrewatch_trainer.cli import main
from genrewatch_trainer.quiet import held_back

ROOT = Path(__file__).parents[2]

MESSAGES = {
    "prepare nowhere -o s": "nowhere: is not a folder, expected a folder per genre",
    "import-logmel nowhere.npz -o s": "nowhere.npz: cannot be read",
    "fit nowhere -o r": "nowhere: is not a folder, expected a feature store",
    "fit STORE --recipe nonsense -o r": "--recipe: found nonsense, expected one of paper, compact",
    "fit STORE --recipe compact -o r": "front_end: is not that of recipe compact",
    "fit STORE --recipe compact --epochs 0 -o r": "epochs: found 0",
    "evaluate nowhere": "nowhere: holds neither run.json nor bundle.json",
    "evaluate STORE --split test": "--split: found test, expected SCHEME:PART",
}


@pytest.mark.parametrize("command", MESSAGES)
def test_what_cannot_work_gives_one_line_and_exit_code_2(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_store(tmp_path / "STORE")
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    captured = capsys.readouterr()
    assert MESSAGES[command] in captured.err
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("genrewatch-train: ")
    assert not (tmp_path / "r").exists()


def test_all_commands_print_their_help_without_loading_what_is_heavy() -> None:
    heavy = ["keras", "tensorflow", "matplotlib", "sklearn", "joblib", "scipy", "librosa"]
    program = f"""
import sys
from genrewatch_export.cli import command_parser, export_parser
from genrewatch_trainer.cli import commands, main, parser
for name in ["fit", "evaluate-stream"]:
    try:
        main([name, "--help"])
    except SystemExit as exc:
        assert exc.code == 0
help = parser().format_help()
assert all(command.__name__.rpartition(".")[2].replace("_", "-") in help for command in commands())
export_parser().format_help()
command_parser().format_help()
sys.exit(", ".join(set({heavy}) & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("program", [main, export_main])
def test_version_is_the_packages(program: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        program(["--version"])
    assert capsys.readouterr().out in (f"genrewatch-train {__version__}\n", f"genrewatch-export {__version__}\n")


@pytest.mark.parametrize(
    ("patched", "command"),
    [
        ("genrewatch_trainer.data.prepare.prepare", "prepare corpus -o s"),
        ("genrewatch_trainer.training.fit.fit", "fit STORE --recipe paper --split fixed -o r"),
        ("genrewatch_trainer.evaluation.evaluate.evaluate", "evaluate STORE"),
        ("genrewatch_trainer.distillation.teach.find_songs", "teach STORE --teacher cat -o t"),
        ("genrewatch_trainer.reproduce.reproduce.reproduce", "reproduce STORE -o report"),
    ],
)
def test_ctrl_c_is_exit_code_130_without_a_traceback(
    patched: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    write_store(tmp_path / "STORE")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(patched, interrupted)
    assert main(command.split()) == 130
    assert capsys.readouterr().err.count("\n") <= 1


@pytest.mark.parametrize("level", [None, "0"])
@pytest.mark.slow
def test_tensorflow_is_quiet_unless_the_environment_asks_for_its_lines(level: str | None) -> None:
    program = "from genrewatch_trainer.quiet import import_quietly; import_quietly('keras'); import keras"
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": level} if level else {}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0
    assert bool(done.stderr) == (level is not None)


def test_what_was_held_back_is_shown_when_the_block_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with held_back(1, 2):
        os.write(2, b"not shown")

    def fails() -> None:
        with held_back(1, 2):
            os.write(1, b"the reason")
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fails()
    assert capfd.readouterr() == ("", "the reason")

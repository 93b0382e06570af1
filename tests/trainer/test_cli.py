import subprocess
import sys
from pathlib import Path

import pytest
from tests.lab import write_store

from genrewatch_trainer.cli import main

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
    said = capsys.readouterr()
    assert MESSAGES[command] in said.err
    assert said.err.count("\n") == 1
    assert said.err.startswith("genrewatch-train: ")
    assert not (tmp_path / "r").exists()


def test_help_comes_without_loading_what_is_heavy() -> None:
    heavy = ["keras", "tensorflow", "matplotlib", "sklearn", "joblib"]
    program = f"""
import sys
from genrewatch_trainer.cli import main
try:
    main(["fit", "--help"])
except SystemExit:
    pass
sys.exit(bool(set({heavy}) & set(sys.modules)))
"""
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True).returncode == 0

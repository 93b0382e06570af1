"""The behaviour that all command lines share: `--version`, one-line errors, exit codes."""

import argparse
import errno
import subprocess
import sys

import pytest

from genrewatch import __version__
from genrewatch.contract.errors import ConfigError
from genrewatch.host.command_line import add_version, run_command


def result_of(action, *argv: str, extra: str | None = None) -> int:
    """The exit code of a command line whose only command is `action`."""
    parser = argparse.ArgumentParser(prog="genrewatch-test")
    add_version(parser)

    def run(args: argparse.Namespace) -> int:
        return action()

    parser.set_defaults(run=run)
    return run_command(parser, argv, extra=extra)


def raising(exc: BaseException):
    def action() -> int:
        raise exc

    return action


def test_version_is_printed(capsys):
    with pytest.raises(SystemExit) as ended:
        result_of(lambda: 0, "--version")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"genrewatch-test {__version__}\n"


def test_the_exit_code_is_that_of_the_command():
    assert [result_of(lambda: 0), result_of(lambda: 1)] == [0, 1]


@pytest.mark.parametrize(
    ("exc", "line"),
    [
        (ConfigError("a.toml: node", "found 'x y'", "letters"), "a.toml: node: found 'x y', expected letters"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.wav"), "a.wav: no such file or directory"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device"),
    ],
)
def test_a_foreseen_error_is_one_line_and_exit_code_2(exc, line, capsys):
    assert result_of(raising(exc)) == 2
    assert capsys.readouterr().err == f"genrewatch-test: {line}\n"


def test_a_package_that_is_not_installed_names_the_extra_that_brings_it(capsys):
    missing = ModuleNotFoundError("No module named 'keras'", name="keras")
    assert result_of(raising(missing), extra="train") == 2
    assert "pip install 'genrewatch[train]'" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError):
        result_of(raising(missing))


def test_ctrl_c_is_one_line_and_exit_code_130(capsys):
    assert result_of(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "genrewatch-test: interrupted\n"


def test_output_closed_by_its_reader_is_exit_code_0():
    program = (
        "import sys; from tests.commands.test_command_line import result_of\n"
        "sys.exit(result_of(lambda: print('x' * 100_000) or 0))"
    )
    command = f'{sys.executable} -c "{program}" | true; exit ${{PIPESTATUS[0]}}'
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    command = f'{sys.executable} -c "{program.replace("100_000", "10")}" | true; exit ${{PIPESTATUS[0]}}'
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")

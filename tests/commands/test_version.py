"""`--version` is an option of every command."""

import pytest

from genrewatch import __version__
from genrewatch.cli import main


@pytest.mark.parametrize("arguments", [["--version"], ["listen", "--version"], ["classify", "x.wav", "--version"]])
def test_every_command_has_a_version(arguments, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(arguments)
    assert capsys.readouterr().out == f"genrewatch {__version__}\n"

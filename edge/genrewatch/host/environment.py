"""The environment of a child process: ours without its secrets, and without code from the current directory."""

import os
import re
from collections.abc import Mapping

_SECRET = re.compile(r"GENREWATCH_\w*(?:USERNAME|PASSWORD|PASSWD|TOKEN|SECRET|KEY)\w*|CREDENTIALS_DIRECTORY")


def child_environment(additions: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that every child is started with: logins and systemd's credentials left out."""
    ours = {name: value for name, value in os.environ.items() if not _SECRET.fullmatch(name)}
    if "PYTHONPATH" in ours:
        ours["PYTHONPATH"] = _absolute(ours["PYTHONPATH"])
    return {**ours, **(additions or {})}


def _absolute(paths: str) -> str:
    """Leave out the entries that mean the current directory or a place in it, whose code is not ours."""
    return os.pathsep.join(path for path in paths.split(os.pathsep) if os.path.isabs(path))

"""The environment of a child process: ours without its secrets."""

import os
import re
from collections.abc import Mapping

_SECRET = re.compile(r"GENREWATCH_\w*(?:USERNAME|PASSWORD|PASSWD|TOKEN|SECRET|KEY)\w*|CREDENTIALS_DIRECTORY")


def child_environment(additions: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that every child is started with: logins and systemd's credentials left out."""
    ours = {name: value for name, value in os.environ.items() if not _SECRET.fullmatch(name)}
    return {**ours, **(additions or {})}

"""Paths that a user names."""

from pathlib import Path

from edge.contract.errors import ConfigError


def expand_home(text: str) -> Path:
    """`~/x` -> the path it stands for; ConfigError for an unknown user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(text, "no such user", "a path") from None

"""Paths in a configuration, and small files that survive a power cut."""

import os
from pathlib import Path

from genrewatch.contract.errors import ConfigError
from genrewatch.host.private_files import make_private_directory, open_private

SHIPPED_BUNDLE = Path(__file__).parents[1] / "bundles" / "gtzan-compact"
"""Directory of the bundle that comes with genrewatch."""


def expand_home(text: str) -> Path:
    """Expand `~/x`; ConfigError for an unknown user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(text, "no such user, or a user without a home", "a path") from None


def write_durably(path: Path, text: str) -> None:
    """Write a small file for its owner only; a power cut leaves the old contents or the new ones, whole.

    Raises OSError when it cannot.
    """
    make_private_directory(path.parent)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with open(open_private(beside), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

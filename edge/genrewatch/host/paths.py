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


def replace_file(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file with a mode, in a directory that keeps its own; a failure leaves the old one. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise

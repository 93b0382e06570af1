"""The other programs that read a FIFO: each would take a part of the sound from the others."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def other_reader(path: Path) -> str | None:
    """Return a program that only reads the FIFO, as `NAME (process N)`; None where none is seen.

    A program that also holds it open for writing (MPD) only drains it and is no reader. Processes of other users
    are seen by root only.
    """
    try:
        wanted = path.stat()
    except OSError:
        return None
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        modes = set(_modes(folder, (wanted.st_dev, wanted.st_ino)))
        if modes == {os.O_RDONLY}:
            return f"{_name(folder)} (process {folder.name})"
    return None


def _modes(folder: Path, file: tuple[int, int]) -> Iterator[int]:
    """Yield how a process holds the file open: O_RDONLY, O_WRONLY or O_RDWR."""
    with suppress(OSError):
        for entry in os.scandir(folder / "fd"):
            with suppress(OSError, ValueError):
                found = entry.stat()
                if (found.st_dev, found.st_ino) == file:
                    flags = (folder / "fdinfo" / entry.name).read_text().partition("flags:")[2].split()[0]
                    yield int(flags, 8) & os.O_ACCMODE


def _name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text(errors="replace").strip()
    except OSError:
        return "a program"

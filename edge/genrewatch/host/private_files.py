"""Files and directories that only their owner may read: mode 0600 and 0700.

One that already exists and that every user may read is corrected, and that is logged. Access that was given to a group
on purpose stays.
"""

import logging
import os
import stat
from pathlib import Path

FILE_MODE, DIRECTORY_MODE = 0o600, 0o700

log = logging.getLogger("genrewatch")


def make_private_directory(path: Path) -> None:
    """Create a directory with mode 0700, or take access from other users; raises OSError if it cannot be created.

    A directory that others share (`/tmp`, a home directory, another user's) keeps its mode.
    """
    path.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
    status = path.stat()
    shared = status.st_mode & stat.S_ISVTX or path.resolve() in (Path("/"), _home())
    if not shared:
        _restrict(path, status, DIRECTORY_MODE)


def make_private_file(path: Path, *, create: bool = False) -> None:
    """Take access to a file from other users; with `create` an absent file is created, empty. Raises OSError."""
    if create:
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, FILE_MODE))
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    if stat.S_ISREG(status.st_mode):
        _restrict(path, status, FILE_MODE)


def open_private(path: Path, *, empty: bool = True) -> int:
    """Open a file for writing, with mode 0600 if it is new; returns the descriptor. With `empty` its contents go.

    Raises OSError.
    """
    flags = os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | (os.O_TRUNC if empty else 0)
    return os.open(path, flags, FILE_MODE)


def give_to_owner(path: Path) -> None:
    """Give what root has written to the owner of the directory it lies in, as for a service; raises OSError."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        for each in [path, *path.rglob("*")] if path.is_dir() else [path]:
            os.chown(each, owner.st_uid, owner.st_gid)


def _restrict(path: Path, status: os.stat_result, mode: int) -> None:
    """Set the mode of what every user may access; log it, and log nothing if it belongs to another user."""
    found = stat.S_IMODE(status.st_mode)
    if not found & 0o007 or status.st_uid != os.geteuid():
        return
    try:
        path.chmod(mode)
    except OSError:  # a file system without modes, or one that is read-only
        return
    log.warning("%s could be read by every user (mode %o): it is now readable by its owner only", path, found)


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except (RuntimeError, OSError):  # a user without a home directory
        return None

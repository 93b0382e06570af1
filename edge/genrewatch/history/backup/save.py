"""Backup of one node beside its running daemon: SQLite's online copy of the history, and the small files beside it."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from genrewatch.contract.errors import ConfigError, DataError, os_error_reason
from genrewatch.history.backup.archive import (
    CONFIG,
    CORRECTIONS,
    HISTORY,
    RESERVED,
    STATE,
    Archive,
    Manifest,
    write_archive,
)
from genrewatch.history.corrections import corrections_path
from genrewatch.history.database import database_errors, database_path, open_for_reading
from genrewatch.history.locate import user_errors
from genrewatch.host.times import rfc3339, utc_now


def save(target: Path, directory: Path, node: str, config: Path | None) -> Manifest:
    """Write the archive `target`, mode 0600, checked by reading it again; a failure leaves no file. Raises errors."""
    try:
        with tempfile.TemporaryDirectory(prefix=".genrewatch-backup-", dir=target.parent) as work:
            made = Path(work) / "archive"
            mode = None if config is None else config.stat().st_mode & 0o777
            parts = _parts(Path(work), directory, node, config)
            with open(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                manifest = write_archive(file, node, rfc3339(utc_now()), parts, mode)
                file.flush()
                os.fsync(file.fileno())
            _check(made)
            made.replace(target)
    except OSError as exc:
        raise ConfigError(str(target), os_error_reason(exc), "a file that can be written") from None
    return manifest


def _parts(work: Path, directory: Path, node: str, config: Path | None) -> dict[str, Path]:
    """Return the files by their names in the archive; copies of those that a daemon changes."""
    parts: dict[str, Path] = {}
    database = database_path(directory, node)
    beside = {
        RESERVED: database.with_suffix(".seq"),
        STATE: directory / f"memory-{node}.json",
        CORRECTIONS: corrections_path(database),
    }
    if database.exists():
        parts[HISTORY] = work / HISTORY
        _copy_history(database, parts[HISTORY])
    for name, path in beside.items():
        if path.exists():
            parts[name] = Path(shutil.copyfile(path, work / name))
    if config is not None:
        parts[CONFIG] = Path(shutil.copyfile(config, work / CONFIG))
    if not parts:
        raise ConfigError(str(directory), f"nothing of node {node} here", "--state DIR, the state directory of a node")
    return parts


def _copy_history(database: Path, copy: Path) -> None:
    """Copy a history at one moment, without its open spells, which the daemon goes on to store and to publish."""
    with user_errors(database), closing(open_for_reading(database)) as source:
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL, 0o600))
        with database_errors(), closing(sqlite3.connect(copy, isolation_level=None)) as made:
            source.backup(made)
            made.execute("PRAGMA journal_mode = DELETE")
            made.execute("DELETE FROM open")
            if (found := made.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise DataError(str(database), f"is damaged ({found})", "a history; see `genrewatch history verify`")


def _check(path: Path) -> None:
    """Read a new archive again; DataError where the disk has not kept it."""
    with Archive(path) as archive, open(os.devnull, "wb") as nowhere:
        for name in archive.manifest.files:
            archive.extract(name, nowhere)

"""The SQLite file of one node: how to open it, and its errors.

The writer uses WAL with synchronous FULL: after a power cut the file is intact and holds every committed
transaction. Readers (`genrewatch history`, `report`, `replay`) open it beside a running daemon.
"""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from genrewatch.contract.errors import os_error_reason
from genrewatch.history.schema import FORMAT, create_later_tables, create_tables, wrong_contents, wrong_schema
from genrewatch.host.private_files import make_private_directory, make_private_file
from genrewatch.host.untrusted_text import one_line

BUSY_S = 5.0
MAX_VALUE_BYTES = 1_000_000
"""Limit of one row: a record has about a kilobyte."""
UNAVAILABLE_CODES = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL),
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL),
    *(sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_INTERRUPT),
}
"""SQLite's codes for a file that cannot be used at present; every other code is due to its contents."""
CONTENT_ERRORS = (
    *(TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError, RecursionError),
    MemoryError,
)
"""Exceptions that contents which genrewatch did not write can raise in the code that reads them."""


class Unavailable(Exception):
    """The file cannot be read or written at present (disk full, read-only, locked); a later attempt may succeed."""

    def __init__(self, reason: str) -> None:
        super().__init__(one_line(reason))


class Missing(Unavailable):
    """The open file was deleted or replaced; open it again."""


class NewerFormat(Unavailable):
    """The file was written by a later version of genrewatch; it is neither read nor changed."""

    def __init__(self, found: int) -> None:
        self.found = found
        super().__init__(f"written by a newer version of genrewatch: format {found}, this version knows {FORMAT}")


class Damaged(Exception):
    """The file is not a genrewatch history, or its contents contradict each other."""

    def __init__(self, reason: str) -> None:
        super().__init__(one_line(reason))


def database_path(directory: Path, node: str) -> Path:
    """Return the path of a node's database in the state directory."""
    return directory / f"history-{node}.db"


@contextmanager
def database_errors() -> Iterator[None]:
    """Translate errors of SQLite, of the file system and of wrong contents into `Unavailable` or `Damaged`.

    Within the block, whatever the contents of the file make the code raise is damage.
    """
    try:
        yield
    except sqlite3.Error as exc:
        code = getattr(exc, "sqlite_errorcode", None)
        misuse = isinstance(exc, sqlite3.ProgrammingError)  # a defect of ours, such as a closed connection
        if misuse or (code is not None and code & 0xFF in UNAVAILABLE_CODES):
            raise Unavailable(str(exc)) from None
        raise Damaged(str(exc)) from None
    except FileNotFoundError as exc:
        raise Missing(os_error_reason(exc)) from None
    except OSError as exc:
        raise Unavailable(os_error_reason(exc)) from None
    except CONTENT_ERRORS as exc:
        raise Damaged(f"its contents lead to {exc!r}") from exc


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the database at `path`: create it if missing, else check it; raises Unavailable, NewerFormat or Damaged."""
    with database_errors():
        make_private_directory(path.parent)
        _check_kind(path)
        for suffix in ("", "-wal", "-shm"):
            make_private_file(path.with_name(path.name + suffix), create=not suffix)
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db)
        except BaseException:
            db.close()
            raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    _limit(db)
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found > FORMAT:
        raise NewerFormat(found)
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # SQLite ignores it once there is a table
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA journal_size_limit = 1000000")
    if found == 0 and _is_empty(db):
        with transaction(db):
            create_tables(db)
    elif found != FORMAT:
        raise Damaged(f"format {found}, expected {FORMAT}")
    result = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if result != "ok":
        raise Damaged(str(result))
    if wrong := wrong_schema(db):
        raise Damaged(wrong)
    with transaction(db):
        create_later_tables(db)
    if wrong := wrong_contents(db):
        raise Damaged(wrong)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the database at `path` beside its writer; raises Unavailable, NewerFormat or Damaged."""
    with database_errors():
        if not path.exists():
            raise FileNotFoundError(2, "no such file", str(path))
        _check_kind(path)
        db = _open_read_only(path)
        try:
            _check_readable(db)
        except BaseException:
            db.close()
            raise
    return db


def _check_readable(db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found > FORMAT:
        raise NewerFormat(found)
    if found != FORMAT:
        if _is_empty(db):
            raise Unavailable("it is being created")
        raise Damaged(f"format {found}, expected {FORMAT}")
    if wrong := wrong_schema(db):
        raise Damaged(wrong)


def _check_kind(path: Path) -> None:
    """Raise Unavailable for a directory, a FIFO or a device: opening a FIFO could wait for ever."""
    if path.exists() and not path.is_file():
        raise Unavailable("is not a regular file")


def _limit(db: sqlite3.Connection) -> None:
    """Bound what one row can take, and refuse functions with side effects in the file's schema."""
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
    db.execute("PRAGMA trusted_schema = OFF")


def _open_read_only(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.resolve()))}"
    try:
        return _open_uri(f"{uri}?mode=ro")
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        return _open_uri(f"{uri}?immutable=1")  # in a directory where SQLite cannot create its lock file


def _is_empty(db: sqlite3.Connection) -> bool:
    return not db.execute("SELECT 1 FROM sqlite_master").fetchone()


def _open_uri(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _limit(db)
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit the statements of the block, or roll them back when it raises."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def move_aside(path: Path, time: str) -> Path:
    """Rename a damaged database and its side files to `history-NODE.damaged-TIME.db`; returns the new path.

    `time` is RFC 3339 in UTC. Raises OSError.
    """
    stamp = time[:19].replace(":", "")
    numbers = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    names = (f"{path.stem}.damaged-{stamp}Z{number}.db" for number in numbers)
    aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    return aside

"""The SQLite file of one node: its tables, how it is opened, and what can be wrong with it.

Writers use WAL with synchronous FULL: after a power cut the file is whole and holds every transaction that was
reported as done. Readers (`genrewatch history`, `report`, `replay`) open it beside a running daemon.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from genrewatch.contract.errors import os_error_reason

FORMAT = 1
BUSY_S = 5.0
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE spells (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL,
    start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL,
    record TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX spells_end ON spells (end_ms);
CREATE TABLE outbox (seq INTEGER PRIMARY KEY);
CREATE TABLE open (source TEXT PRIMARY KEY, record TEXT NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE streams (
    stream INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, started TEXT NOT NULL,
    model TEXT NOT NULL, version TEXT NOT NULL,
    labels TEXT NOT NULL, vote TEXT NOT NULL, segment_samples INTEGER NOT NULL
);
CREATE TABLE segments (
    segment INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL, sample_rate INTEGER NOT NULL, lost INTEGER NOT NULL,
    label TEXT NOT NULL, posterior BLOB, verdict TEXT NOT NULL
);
"""


SPOILT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""Errors that say that a file is not what it should be; a table or a column that is missing is SQLITE_ERROR."""
NAMES = {"meta", "spells", "outbox", "open", "streams", "segments"}


class Unavailable(Exception):
    """The file cannot be read or written now (disk full, read-only, locked); it may be later."""


class Gone(Unavailable):
    """The file has been deleted or replaced under us: it must be opened anew."""


class Damaged(Exception):
    """The file is no database of ours, or its contents contradict each other."""


def database_path(directory: Path, node: str) -> Path:
    """Where the history of a node is."""
    return directory / f"history-{node}.db"


@contextmanager
def judged() -> Iterator[None]:
    """Turns SQLite's errors into `Damaged` or `Unavailable`."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        code = getattr(exc, "sqlite_errorcode", None)
        undecodable = code is None and "decode" in str(exc)
        if undecodable or (code is not None and code & 0xFF in SPOILT):
            raise Damaged(str(exc)) from None
        raise Unavailable(str(exc)) from None
    except FileNotFoundError as exc:
        raise Gone(os_error_reason(exc)) from None
    except OSError as exc:
        raise Unavailable(os_error_reason(exc)) from None


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The database at `path`, made if there is none and checked if there is; raises Unavailable or Damaged."""
    with judged():
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db)
        except BaseException:
            db.close()
            raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # heeded in a new file alone, before its first table
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA journal_size_limit = 1000000")
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
        with transaction(db):
            for statement in TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {FORMAT}")
    elif found != FORMAT:
        raise Damaged(f"format {found}, expected {FORMAT}")
    elif missing := NAMES - {name for (name,) in db.execute("SELECT name FROM sqlite_master")}:
        raise Damaged(f"no table {', '.join(sorted(missing))}")
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise Damaged(str(verdict))


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The database at `path`, beside whoever writes it; raises Unavailable or Damaged."""
    with judged():
        if not path.exists():
            raise FileNotFoundError(2, "no such file", str(path))
        uri = f"file:{quote(str(path.resolve()))}"
        try:
            db = _open_uri(f"{uri}?mode=ro")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
            db = _open_uri(f"{uri}?immutable=1")  # a place where not even a reader's lock can be written
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found != FORMAT:
            empty = not db.execute("SELECT 1 FROM sqlite_master").fetchone()
            db.close()
            if empty:
                raise Unavailable("it is only just being made")
            raise Damaged(f"format {found}, expected {FORMAT}")
    return db


def _open_uri(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")

"""The SQLite file of one node: its tables, how to open it, and its errors.

The writer uses WAL with synchronous FULL: after a power cut the file is intact and holds every committed
transaction. Readers (`genrewatch history`, `report`, `replay`) open it beside a running daemon.
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

TABLE_NAMES = {"meta", "spells", "outbox", "open", "streams", "segments"}
DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""SQLite's codes for wrong contents; SQLITE_ERROR is a missing table or column."""


class Unavailable(Exception):
    """The file cannot be read or written at present (disk full, read-only, locked); a later attempt may succeed."""


class Missing(Unavailable):
    """The open file was deleted or replaced; open it again."""


class Damaged(Exception):
    """The file is not a genrewatch history, or its contents contradict each other."""


def database_path(directory: Path, node: str) -> Path:
    """Return the path of a node's database in the state directory."""
    return directory / f"history-{node}.db"


@contextmanager
def database_errors() -> Iterator[None]:
    """Translate errors of SQLite and of the file system into `Damaged`, `Missing` or `Unavailable`."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        code = getattr(exc, "sqlite_errorcode", None)
        undecodable = code is None and "decode" in str(exc)
        if undecodable or (code is not None and code & 0xFF in DAMAGE_CODES):
            raise Damaged(str(exc)) from None
        raise Unavailable(str(exc)) from None
    except FileNotFoundError as exc:
        raise Missing(os_error_reason(exc)) from None
    except OSError as exc:
        raise Unavailable(os_error_reason(exc)) from None


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the database at `path`: create it if missing, else check it; raises Unavailable or Damaged."""
    with database_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db)
        except BaseException:
            db.close()
            raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # SQLite ignores it once there is a table
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA journal_size_limit = 1000000")
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found == 0 and _is_empty(db):
        with transaction(db):
            for statement in TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {FORMAT}")
    elif found != FORMAT:
        raise Damaged(f"format {found}, expected {FORMAT}")
    elif missing := TABLE_NAMES - {name for (name,) in db.execute("SELECT name FROM sqlite_master")}:
        raise Damaged(f"no table {', '.join(sorted(missing))}")
    result = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if result != "ok":
        raise Damaged(str(result))


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the database at `path` beside its writer; raises Unavailable or Damaged."""
    with database_errors():
        if not path.exists():
            raise FileNotFoundError(2, "no such file", str(path))
        db = _open_read_only(path)
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found != FORMAT:
            empty = _is_empty(db)
            db.close()
            if empty:
                raise Unavailable("it is being created")
            raise Damaged(f"format {found}, expected {FORMAT}")
    return db


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
    aside = path.with_name(f"{path.stem}.damaged-{stamp}Z.db")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    return aside

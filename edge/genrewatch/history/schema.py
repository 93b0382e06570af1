"""The tables of a history, and checks that a file has these tables and plausible contents."""

import sqlite3

FORMAT = 1
"""Version of the database format, in `PRAGMA user_version`."""
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
LATER_TABLES = """
CREATE TABLE imported_corrections (line TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
"""
"""Tables that databases of earlier versions lack; those versions ignore them. The hash of each line of the file of
corrections that is in `spells`, with its `seq`."""
MAX_NUMBER = 2**53
"""Limit of the numbers of rows: far above all that is ever assigned, below SQLite's own, at which it is full."""

_WRONG_ROWS = {
    "spells": """SELECT 'record ' || seq FROM spells WHERE seq NOT BETWEEN 1 AND :limit
        OR typeof(source) <> 'text' OR typeof(start_ms) <> 'integer' OR typeof(end_ms) <> 'integer'
        OR typeof(prev) <> 'text' OR typeof(hash) <> 'text' OR typeof(record) <> 'text' OR NOT json_valid(record)""",
    "outbox": "SELECT 'seq ' || seq FROM outbox WHERE seq NOT IN (SELECT seq FROM spells)",
    "open": """SELECT 'an open spell' FROM open WHERE typeof(source) <> 'text' OR typeof(start_ms) <> 'integer'
        OR typeof(end_ms) <> 'integer' OR typeof(record) <> 'text' OR NOT json_valid(record)""",
    "meta": "SELECT 'an entry' FROM meta WHERE typeof(key) <> 'text' OR typeof(value) <> 'text'",
    "segments": "SELECT 'segment ' || max(segment) FROM segments HAVING max(segment) > :limit",
    "streams": "SELECT 'stream ' || max(stream) FROM streams HAVING max(stream) > :limit",
    "imported_corrections": """SELECT 'an entry' FROM imported_corrections
        WHERE typeof(line) <> 'text' OR typeof(seq) <> 'integer'""",
    "sqlite_sequence": """SELECT 'an entry' FROM sqlite_sequence
        WHERE typeof(seq) <> 'integer' OR seq NOT BETWEEN 0 AND :limit""",
}
"""Queries for rows that genrewatch never writes, by table."""


def create_tables(db: sqlite3.Connection) -> None:
    """Create the tables of an empty database, within the caller's transaction."""
    for statement in TABLES.split(";"):
        db.execute(statement)
    create_later_tables(db)
    db.execute(f"PRAGMA user_version = {FORMAT}")


def create_later_tables(db: sqlite3.Connection) -> None:
    """Create the tables that a database of an earlier version lacks."""
    for statement in LATER_TABLES.split(";"):
        db.execute(statement.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))


def wrong_schema(db: sqlite3.Connection) -> str | None:
    """Return what differs from the tables of a history; None for a right schema.

    Tables, views and indexes of the user's own are accepted, triggers are not: they change what is written.
    """
    rows = db.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    if trigger := next((name for kind, name, _ in rows if kind == "trigger"), None):
        return f"it has a trigger, {trigger}"
    found = {name: _normalized(sql) for kind, name, sql in rows if kind in ("table", "view", "index")}
    for name, sql in _expected(LATER_TABLES).items():
        if name in found and found[name] != sql:
            return f"{name} is not as genrewatch creates it"
    for name, sql in _expected(TABLES).items():
        if name not in found:
            return f"no table {name}" if "CREATE TABLE" in sql else f"no index {name}"
        if found[name] != sql:
            return f"{name} is not as genrewatch creates it"
    return None


def wrong_contents(db: sqlite3.Connection) -> str | None:
    """Return the first row that genrewatch never writes; None without one. Reads the whole database."""
    for table, query in _WRONG_ROWS.items():
        if row := db.execute(f"{query} LIMIT 1", {"limit": MAX_NUMBER}).fetchone():
            return f"table {table}: {row[0]} has a wrong type or value"
    return None


def _expected(tables: str) -> dict[str, str]:
    statements = [_normalized(statement) for statement in tables.split(";") if statement.strip()]
    return {statement.split()[2]: statement for statement in statements}


def _normalized(sql: object) -> str:
    return " ".join(str(sql).split())

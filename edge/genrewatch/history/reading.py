"""Reads a node's history beside the daemon that writes it: in short looks, so that the writer's log never grows for us.

Where it is, what can be chosen of it, and the lines of it that people and programs are given.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrewatch.contract.errors import ConfigError, DataError, os_error_reason
from genrewatch.contract.ids import is_id
from genrewatch.history.database import Damaged, Unavailable, database_path, judged, open_for_reading
from genrewatch.history.spell import Subject
from genrewatch.history.store import loaded
from genrewatch.host.node import state_directory

SERVICE_STATE = Path("/var/lib/genrewatch")
"""Where the systemd service keeps it; only root may look inside."""
PAGE = 1000
"""Records that are read at one time."""
NEEDED = frozenset(Subject.__dataclass_fields__) | {
    *("source", "start", "end", "heard_s", "lost_s", "share", "confidence", "votes"),
    *("continues", "interrupted", "clock_step_s", "mono_start_s", "mono_end_s"),
}
"""Fields that a record is read by."""

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which spells are wanted: those of which any part lies in the range."""

    since_ms: int | None = None
    """Milliseconds since 1970; None = from the first on."""
    until_ms: int | None = None
    """One past the range; None = to the newest."""
    sources: tuple[str, ...] = ()
    """Ids; empty = all."""

    def condition(self) -> tuple[str, list[Any]]:
        """For SQL, with the values it asks for. A clock that was set can have put a spell's end before its start."""
        parts, values = ["1"], list[Any]()
        if self.since_ms is not None:
            parts.append("(max(start_ms, end_ms) > ? OR start_ms = ?)")
            values += [self.since_ms, self.since_ms]
        if self.until_ms is not None:
            parts.append("min(start_ms, end_ms) < ?")
            values.append(self.until_ms)
        if self.sources:
            parts.append(f"source IN ({', '.join('?' * len(self.sources))})")
            values += self.sources
        return " AND ".join(parts), values


class Log:
    """The history in one database file."""

    def __init__(self, path: Path) -> None:
        """Opens it; raises Unavailable or Damaged, as every method does."""
        self.path = path
        self._db = open_for_reading(path)

    def close(self) -> None:
        """Gives the file back."""
        self._db.close()

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, for reading alone."""
        return self._db

    def meta(self) -> dict[str, str]:
        """`node`, `anchor` and `first_seq`."""
        with judged():
            return dict(self._db.execute("SELECT key, value FROM meta").fetchall())

    @property
    def newest_seq(self) -> int:
        """The `seq` given last, 0 before the first."""
        with judged():
            row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'spells'").fetchone()
        return int(row[0]) if row else 0

    def pages(self, selection: Selection, after_seq: int = 0) -> Iterator[list[Record]]:
        """The records beyond a `seq`, in its order, with `prev` and `hash`, some at a time."""
        condition, values = selection.condition()
        query = f"SELECT seq, record, prev, hash FROM spells WHERE seq > ? AND {condition} ORDER BY seq LIMIT {PAGE}"
        while True:
            with judged():
                rows = self._db.execute(query, (after_seq, *values)).fetchall()
            if not rows:
                return
            yield [{**_whole(record), "prev": prev, "hash": hash_} for _, record, prev, hash_ in rows]
            after_seq = rows[-1][0]

    def open_spells(self, selection: Selection) -> list[Record]:
        """The spells that last, as they were saved last: without `seq` and hashes, marked `open`."""
        condition, values = selection.condition()
        with judged():
            rows = self._db.execute(f"SELECT record FROM open WHERE {condition} ORDER BY start_ms", values).fetchall()
        return [{**_whole(record), "open": True} for (record,) in rows]

    def seq_before_latest(self, count: int, selection: Selection) -> int:
        """The `seq` after which `count` of the selected records follow."""
        condition, values = selection.condition()
        query = f"SELECT seq FROM spells WHERE {condition} ORDER BY seq DESC LIMIT 1 OFFSET ?"
        with judged():
            row = self._db.execute(query, (*values, count)).fetchone()
        return int(row[0]) if row else 0

    def sources(self) -> list[str]:
        """The ids that there are spells of; reads it all."""
        with judged():
            rows = self._db.execute("SELECT source FROM spells UNION SELECT source FROM open ORDER BY 1").fetchall()
        return [source for (source,) in rows]


def _whole(text: str) -> Record:
    record = loaded(text)
    if not record.keys() >= NEEDED:
        raise Damaged("a record lacks what each has")
    return record


def find_history(directory: Path | None, node: str | None) -> Path:
    """The database of a node, or of the only one there is, in the state directory; ConfigError if that is none."""
    theirs = SERVICE_STATE if directory is None and os.path.lexists(SERVICE_STATE) else None
    directory = directory or state_directory()
    if node is not None:
        path = database_path(directory, node)
        if not is_id(node) or not path.exists():
            raise ConfigError("--node", f"no history of {node} in {directory}", _among(_nodes(directory)))
        return path
    nodes = _nodes(directory)
    if not nodes:
        expected = f"--state {theirs} (perhaps with sudo)" if theirs else "one, which `genrewatch listen` makes"
        raise ConfigError(str(directory), "no history-NODE.db here", expected)
    if len(nodes) > 1:
        raise ConfigError("--node", f"several histories in {directory}", _among(nodes))
    return database_path(directory, nodes[0])


def _nodes(directory: Path) -> list[str]:
    """Whose histories there are; those that were set aside are no node's."""
    try:
        names = [path.name for path in directory.glob("history-*.db")]
    except OSError as exc:
        raise ConfigError(str(directory), os_error_reason(exc), "a directory") from None
    return sorted(node for name in names if is_id(node := name.removeprefix("history-").removesuffix(".db")))


def _among(nodes: list[str]) -> str:
    return f"one of {', '.join(nodes)}" if nodes else "one that `genrewatch listen` has made"


@contextmanager
def said_to_user(path: Path) -> Iterator[None]:
    """Turns what is wrong with the file into an error of one line."""
    try:
        yield
    except Unavailable as exc:
        raise ConfigError(str(path), f"cannot be read ({exc})") from None
    except Damaged as exc:
        raise DataError(str(path), f"is damaged ({exc})", "a history; `genrewatch listen` begins a new one") from None


@contextmanager
def opened(path: Path) -> Iterator[Log]:
    """The log at `path`; whatever is wrong with it becomes an error of one line."""
    with said_to_user(path), closing(Log(path)) as log:
        yield log

"""Reading of a node's history beside its daemon, in short queries, so that the writer's WAL can be truncated."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrewatch.history.database import database_errors, open_for_reading
from genrewatch.history.record import Record, checked_record, is_correction

PAGE = 1000
"""Records read by one query."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A choice of spells: those that overlap a range of time, of some sources."""

    since_ms: int | None = None
    """Start of the range, milliseconds since 1970; None = the first record."""
    until_ms: int | None = None
    """End of the range, exclusive; None = the newest record."""
    sources: tuple[str, ...] = ()
    """Source ids; empty = all."""

    def condition(self) -> tuple[str, list[Any]]:
        """Return an SQL condition and its parameters.

        A spell's end can lie before its start, if the clock was set back meanwhile.
        """
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


class HistoryReader:
    """The history in one database file. Every method raises Unavailable or Damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = open_for_reading(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def db(self) -> sqlite3.Connection:
        """The read-only connection."""
        return self._db

    def meta(self) -> dict[str, str]:
        """Return the table `meta`: `node`, `anchor` and `first_seq`."""
        with database_errors():
            return dict(self._db.execute("SELECT key, value FROM meta").fetchall())

    @property
    def newest_seq(self) -> int:
        """The last `seq` assigned, 0 before the first."""
        with database_errors():
            row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'spells'").fetchone()
        return int(row[0]) if row else 0

    def pages(self, selection: Selection, after_seq: int = 0, *, corrections: bool = False) -> Iterator[list[Record]]:
        """Yield the selected records after a `seq`, in order, with `prev` and `hash`, a page at a time.

        Records of corrections are left out unless `corrections` is set.
        """
        condition, values = selection.condition()
        query = f"SELECT seq, record, prev, hash FROM spells WHERE seq > ? AND {condition} ORDER BY seq LIMIT {PAGE}"
        while True:
            with database_errors():
                rows = self._db.execute(query, (after_seq, *values)).fetchall()
                page = [
                    {**checked_record(record), "seq": seq, "prev": prev, "hash": hash_}
                    for seq, record, prev, hash_ in rows
                ]
            if not page:
                return
            after_seq = page[-1]["seq"]
            if found := [record for record in page if corrections or not is_correction(record)]:
                yield found

    def spell(self, seq: int) -> Record | None:
        """Return the spell of a `seq`; None if there is none."""
        if not 0 < seq < 2**63:
            return None
        with database_errors():
            row = self._db.execute("SELECT record, prev, hash FROM spells WHERE seq = ?", (seq,)).fetchone()
        found = {**checked_record(row[0]), "seq": seq, "prev": row[1], "hash": row[2]} if row else None
        return None if found is None or is_correction(found) else found

    def correction_records(self) -> list[Record]:
        """Return the records of corrections, the oldest first; none in a database of an earlier version."""
        query = "SELECT record FROM imported_corrections JOIN spells USING (seq) ORDER BY seq"
        with database_errors():
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'imported_corrections'").fetchone():
                return []
            return [checked_record(record) for (record,) in self._db.execute(query).fetchall()]

    def open_spells(self, selection: Selection) -> list[Record]:
        """Return the open spells as last saved: marked `open`, without `seq` and hashes."""
        condition, values = selection.condition()
        with database_errors():
            rows = self._db.execute(f"SELECT record FROM open WHERE {condition} ORDER BY start_ms", values).fetchall()
            return [{**checked_record(record), "open": True} for (record,) in rows]

    def seq_before_latest(self, count: int, selection: Selection) -> int:
        """Return the `seq` after which the last `count` selected records follow."""
        condition, values = selection.condition()
        query = f"SELECT seq FROM spells WHERE {condition} ORDER BY seq DESC LIMIT 1 OFFSET ?"
        with database_errors():
            row = self._db.execute(query, (*values, count)).fetchone()
        return int(row[0]) if row else 0

    def sources(self) -> list[str]:
        """Return the ids of all sources with spells; scans the whole table."""
        with database_errors():
            rows = self._db.execute(
                "SELECT source FROM spells UNION SELECT source FROM open WHERE source NOT LIKE '% %' ORDER BY 1"
            ).fetchall()
        return [source for (source,) in rows]

"""Deletion of the oldest records of a history, a few at a time."""

import sqlite3
from dataclasses import dataclass
from itertools import takewhile

from genrewatch.history.database import transaction
from genrewatch.history.schema import MAX_NUMBER
from genrewatch.host.times import EARLIEST_MS

PRUNE_BATCH = 500
"""Records deleted at a time."""
VACUUM_PAGES = 256
"""Pages returned to the file system at a time."""


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """Result of one deletion."""

    deleted: int
    undelivered: int
    """Records among them that were in the outbox."""
    more: bool
    """True if there is more to delete or to shrink."""


def prune(db: sqlite3.Connection, *, limit_ms: int, max_bytes: int) -> Pruned:
    """Delete records that ended before `limit_ms`, and any if the file is larger than `max_bytes`.

    Age deletes no record that is in the outbox.
    """
    full = _used_bytes(db) > max_bytes
    doomed = list(takewhile(lambda row: full or (row[1] < limit_ms and row[2] is None), _oldest(db)))
    if doomed:
        _delete(db, up_to=doomed[-1][0])
    free = db.execute("PRAGMA freelist_count").fetchone()[0]
    if free:
        db.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")  # `execute` frees only one page
    undelivered = sum(row[2] is not None for row in doomed)
    more = len(doomed) == PRUNE_BATCH or free > VACUUM_PAGES
    return Pruned(deleted=len(doomed), undelivered=undelivered, more=more)


def _oldest(db: sqlite3.Connection) -> list[tuple[int, int, int | None]]:
    """Return the oldest records as (seq, end, seq in the outbox).

    A record from before the clock was set counts as old as the next one with a known time.
    """
    query = "SELECT seq, end_ms, outbox.seq FROM spells LEFT JOIN outbox USING (seq) ORDER BY seq LIMIT ?"
    rows = db.execute(query, (PRUNE_BATCH,)).fetchall()
    query = "SELECT end_ms FROM spells WHERE seq > ? AND end_ms >= ? ORDER BY seq LIMIT 1"
    unset = bool(rows) and rows[-1][1] < EARLIEST_MS
    known = db.execute(query, (rows[-1][0], EARLIEST_MS)).fetchone() if unset else None
    next_ms, dated = known[0] if known else MAX_NUMBER, []
    for seq, end_ms, outbox_seq in reversed(rows):
        next_ms = end_ms if end_ms >= EARLIEST_MS else next_ms
        dated.append((seq, next_ms, outbox_seq))
    return dated[::-1]


def _delete(db: sqlite3.Connection, up_to: int) -> None:
    """Delete the records up to a `seq`; the hash of the last one becomes the anchor of the rest."""
    with transaction(db):
        anchor = db.execute("SELECT hash FROM spells WHERE seq = ?", (up_to,)).fetchone()[0]
        db.execute("UPDATE meta SET value = ? WHERE key = 'anchor'", (anchor,))
        db.execute("DELETE FROM outbox WHERE seq <= ?", (up_to,))
        db.execute("DELETE FROM spells WHERE seq <= ?", (up_to,))


def _used_bytes(db: sqlite3.Connection) -> int:
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)

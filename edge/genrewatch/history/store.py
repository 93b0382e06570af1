"""What the daemon writes into its database: spells with their `seq` and hash, the outbox, the spells that are open.

A record is written once and never changed. Its `seq` is never given again, not even by a database that replaces a
damaged one: a small file beside it holds a number that no `seq` of the node has reached.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from genrewatch.contract.compact_json import compact_json
from genrewatch.history.chain import genesis, record_hash
from genrewatch.history.database import Damaged, judged, open_for_writing, transaction
from genrewatch.history.ring import Judged, Ring
from genrewatch.history.spell import Spell
from genrewatch.host.paths import write_durably

RESERVE = 1000
CLOSED = "closed"
PRUNED_AT_ONCE = 500
VACUUM_PAGES = 256
DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class OutboxRecord:
    """A record that waits to be delivered."""

    seq: int
    source: str
    record: dict[str, Any]
    """As it is published, hashes included; only `backfilled` is missing."""


class HistoryStore:
    """The one writer of a node's database. Every method is a transaction and raises Unavailable or Damaged."""

    def __init__(self, path: Path, node: str, *, deliver: bool, posteriors: int = 0) -> None:
        """Opens or makes it; the spells that were open when the last writer died become records.

        `deliver`: whether records go into the outbox; `posteriors`: how many of the latest segments are kept.
        """
        self._path, self._node, self._deliver = path, node, deliver
        self._last = self._stored = self._waiting = 0
        self.newest_end_ms: int | None = None
        """When the newest spell ended that was there at the start, milliseconds since 1970; None if there was none."""
        self._head = ""
        self._db = open_for_writing(path)
        self._ring = Ring(self._db, posteriors)
        try:
            with judged():
                self._inode = os.stat(path).st_ino
                self._reserved, self._was_closed = self._read_floor()
                self._start()
                self._keep_interrupted()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Gives the file back, its log folded in, and leaves word of where it ended."""
        with judged():
            self._db.close()
            if self._last:
                write_durably(self._floor_path, f"{self._last} {CLOSED}\n")

    @property
    def head(self) -> str:
        """The newest hash."""
        return self._head

    @property
    def last_seq(self) -> int:
        """The newest `seq` given; 0 before the first."""
        return self._last

    def append(self, spells: Sequence[Spell], drafts: Iterable[Spell], judged_segments: Sequence[Judged] = ()) -> None:
        """Keeps spells that have ended, in this order, those that are open, instead of the ones kept before, and what
        the ring shall hold."""
        with judged(), self._undone_if_it_fails(), transaction(self._db):
            self._check_that_it_is_there()
            for spell in spells:
                self._insert(spell.body(), spell.start.utc_ms, spell.end.utc_ms)
            self._ring.append(judged_segments)
            self._db.execute("DELETE FROM open")
            rows = [(d.setting.source, compact_json(d.body()), d.start.utc_ms, d.end.utc_ms) for d in drafts]
            self._db.executemany("INSERT INTO open VALUES (?, ?, ?, ?)", rows)

    @property
    def stored(self) -> int:
        """How many records there are."""
        return self._stored

    @property
    def waiting(self) -> int:
        """How many of them are in the outbox."""
        return self._waiting

    def outbox_records(self, after_seq: int, limit: int) -> list[OutboxRecord]:
        """The oldest records of the outbox beyond a `seq`, in order."""
        query = "SELECT seq, source, record, prev, hash FROM outbox JOIN spells USING (seq) WHERE seq > ?"
        with judged():
            rows = self._db.execute(f"{query} ORDER BY seq LIMIT ?", (after_seq, limit)).fetchall()
        return [
            OutboxRecord(seq=seq, source=source, record={**loaded(record), "prev": prev, "hash": hash_})
            for seq, source, record, prev, hash_ in rows
        ]

    @property
    def newest_waiting(self) -> int:
        """The highest `seq` in the outbox, 0 if it is empty."""
        with judged():
            newest: int = self._db.execute("SELECT max(seq) FROM outbox").fetchone()[0] or 0
            return newest

    def remove_delivered(self, delivered: Sequence[int]) -> None:
        """Takes records out of the outbox."""
        with judged(), transaction(self._db):
            struck = self._db.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in delivered]).rowcount
        self._waiting -= struck

    def prune(self, *, now_ms: int, keep_days: int, max_bytes: int) -> tuple[bool, int]:
        """Forgets a few of the oldest records that are too old or too much, and gives a little of the file back.

        Returns whether there is more to do, and how many undelivered records had to go; only size takes those.
        """
        with judged():
            full = self._used_bytes() > max_bytes
            oldest = self._db.execute(
                "SELECT seq, end_ms, outbox.seq FROM spells LEFT JOIN outbox USING (seq) ORDER BY seq LIMIT ?",
                (PRUNED_AT_ONCE,),
            ).fetchall()
            limit_ms = now_ms - keep_days * DAY_MS
            doomed = list(takewhile(lambda row: full or (row[1] < limit_ms and row[2] is None), oldest))
            if doomed:
                self._forget(up_to=doomed[-1][0])
            free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
            if free:
                self._db.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")  # `execute` frees one page alone
        if doomed:
            self._count()
        more = len(doomed) == PRUNED_AT_ONCE or free > VACUUM_PAGES
        return more, sum(row[2] is not None for row in doomed)

    def _check_that_it_is_there(self) -> None:
        """A file that somebody has deleted could be written for months, and read by nobody."""
        if os.stat(self._path).st_ino != self._inode:
            raise FileNotFoundError(2, "no such file or directory any more")

    def _forget(self, up_to: int) -> None:
        """Deletes a beginning of the log, whose last hash becomes what the rest hangs on."""
        with transaction(self._db):
            anchor = self._db.execute("SELECT hash FROM spells WHERE seq = ?", (up_to,)).fetchone()[0]
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'anchor'", (anchor,))
            self._db.execute("DELETE FROM outbox WHERE seq <= ?", (up_to,))
            self._db.execute("DELETE FROM spells WHERE seq <= ?", (up_to,))

    def _used_bytes(self) -> int:
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _start(self) -> None:
        """Finds where the log ends; a new database begins beyond every `seq` that another may have given."""
        meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        if not meta:
            first = self._reserved + 1
            meta = {"node": self._node, "anchor": genesis(self._node, first), "first_seq": str(first)}
            with transaction(self._db):
                self._db.executemany("INSERT INTO meta VALUES (?, ?)", list(meta.items()))
                self._db.execute("INSERT INTO sqlite_sequence VALUES ('spells', ?)", (first - 1,))
        if meta["node"] != self._node:
            raise Damaged(f"the history of {meta['node']}, not of {self._node}")
        self._last = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'spells'").fetchone()[0]
        if self._last < self._reserved - (0 if self._was_closed else RESERVE + 1):
            self._last = self._reserved  # an old copy of the file: what it lacks has its numbers already
        newest = self._db.execute("SELECT hash FROM spells ORDER BY seq DESC LIMIT 1").fetchone()
        self._head = newest[0] if newest else meta["anchor"]
        self.newest_end_ms = self._db.execute("SELECT max(end_ms) FROM spells").fetchone()[0]
        self._count()

    def _count(self) -> None:
        """Counts afresh, as seldom as that is needed: it reads the whole index."""
        with judged():
            self._stored, self._waiting = (
                self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("spells", "outbox")
            )

    def _keep_interrupted(self) -> None:
        """The spells that were open when the last writer was killed."""
        rows = self._db.execute("SELECT record, start_ms, end_ms FROM open ORDER BY end_ms").fetchall()
        if rows:
            with self._undone_if_it_fails(), transaction(self._db):
                for record, start_ms, end_ms in rows:
                    self._insert({**loaded(record), "interrupted": True}, start_ms, end_ms)
                self._db.execute("DELETE FROM open")

    def _insert(self, body: Mapping[str, Any], start_ms: int, end_ms: int) -> None:
        seq, prev = self._last + 1, self._head
        if seq > self._reserved:
            self._reserve(seq + RESERVE)
        record = _numbered(body, seq)
        self._head = record_hash(prev, record)
        row = (seq, body["source"], start_ms, end_ms, compact_json(record), prev, self._head)
        self._db.execute("INSERT INTO spells VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        if self._deliver:
            self._db.execute("INSERT INTO outbox VALUES (?)", (seq,))
        self._last, self._stored, self._waiting = seq, self._stored + 1, self._waiting + self._deliver

    @contextmanager
    def _undone_if_it_fails(self) -> Iterator[None]:
        """What is known of the log's end goes back with the transaction."""
        before = self._last, self._head, self._stored, self._waiting, dict(self._ring.numbers)
        try:
            yield
        except BaseException:
            self._last, self._head, self._stored, self._waiting, self._ring.numbers = before
            raise

    @property
    def _floor_path(self) -> Path:
        return self._path.with_suffix(".seq")

    def _read_floor(self) -> tuple[int, bool]:
        """A number that no `seq` has reached, and whether it is the last that was given."""
        try:
            number, _, word = self._floor_path.read_text(encoding="ascii").strip().partition(" ")
            return int(number), word == CLOSED
        except (FileNotFoundError, ValueError):
            return 0, False

    def _reserve(self, up_to: int) -> None:
        """Promises on disk, before the first is given, that no `seq` beyond `up_to` has been given."""
        write_durably(self._floor_path, f"{up_to}\n")
        self._reserved = up_to


def loaded(text: str) -> dict[str, Any]:
    """A record as it was written; raises Damaged for what is none."""
    try:
        record = json.loads(text)
    except ValueError:
        raise Damaged("a record is no JSON") from None
    if not isinstance(record, dict):
        raise Damaged("a record is no JSON object")
    return record


def _numbered(body: Mapping[str, Any], seq: int) -> dict[str, Any]:
    """The record with its number, which stands before what was heard."""
    record: dict[str, Any] = {}
    for key, value in body.items():
        record[key] = value
        if key == "name":
            record["seq"] = seq
    return record

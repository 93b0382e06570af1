"""Writing of a node's database: spells with their `seq` and hash, the outbox, the open spells, the posteriors.

A record is written once and never changed. Its `seq` is never assigned again (`ReservedSeq`).
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrewatch.contract.compact_json import compact_json
from genrewatch.history.chain import genesis, record_hash
from genrewatch.history.correction_records import ImportedLines, correction_fields
from genrewatch.history.corrections import Correction
from genrewatch.history.database import Damaged, database_errors, open_for_writing, transaction
from genrewatch.history.posterior_buffer import PosteriorBuffer, StreamResult
from genrewatch.history.pruning import prune
from genrewatch.history.record import checked_record, is_correction
from genrewatch.history.reserved_seq import ReservedSeq
from genrewatch.history.schema import wrong_schema
from genrewatch.history.spell import Spell
from genrewatch.host.times import Timestamp

DAY_MS = 86_400_000
MAX_HELD = 1000
"""Spells that wait for the clock and are stored meanwhile."""


@dataclass(frozen=True, kw_only=True)
class OutboxRecord:
    """A record that the broker has not yet acknowledged."""

    seq: int
    source: str
    record: dict[str, Any]
    """The fields as published, hashes included, without `backfilled`."""


class HistoryStore:
    """The only writer of a node's database. Every method is a transaction and raises Unavailable or Damaged."""

    def __init__(self, path: Path, node: str, *, deliver: bool, posteriors: int = 0) -> None:
        """Open or create it; spells that were open when the last writer was killed become records.

        `deliver`: put records into the outbox; `posteriors`: number of latest segments to store.
        """
        self._path, self._node, self._deliver = path, node, deliver
        self._last_seq = self._stored = self._waiting = 0
        self.newest_end_ms: int | None = None
        """End of the newest spell at the start, milliseconds since 1970; None if there was none."""
        self.last_end_ms: int | None = None
        """The same of the last record."""
        self._head = ""
        self._db = open_for_writing(path)
        self._posteriors = PosteriorBuffer(self._db, posteriors)
        try:
            with database_errors():
                self._inode, self._schema = os.stat(path).st_ino, self._schema_version()
                self._reserved = ReservedSeq(path)
                self._find_end()
                self._store_interrupted()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database, which folds its WAL in, and note the last `seq`."""
        with database_errors():
            self._db.close()
            if self._last_seq:
                self._reserved.close(self._last_seq)

    @property
    def head(self) -> str:
        """The newest hash."""
        return self._head

    @property
    def last_seq(self) -> int:
        """The last `seq` assigned; 0 before the first."""
        return self._last_seq

    @property
    def stored(self) -> int:
        """The number of records."""
        return self._stored

    @property
    def waiting(self) -> int:
        """The number of records in the outbox."""
        return self._waiting

    def append(
        self,
        ended: Sequence[Spell],
        open_spells: Iterable[Spell],
        results: Sequence[StreamResult] = (),
        held: Sequence[Spell] = (),
    ) -> None:
        """Store the spells that have ended, in order, replace the stored open spells, and store posteriors.

        `held` have ended but wait for the clock: they are stored as open ones until a later call stores them for good.
        """
        rows = [(spell.fields(), spell.start.utc_ms, spell.end.utc_ms) for spell in ended]
        for fields, _, _ in rows:
            compact_json(fields)  # a defect of ours raises ValueError here, where it is no damage of the file
        saved = [_open_row(spell.context.source, spell) for spell in open_spells]
        saved += [_open_row(f"{spell.context.source} {n:04}", spell) for n, spell in enumerate(held[-MAX_HELD:])]
        with database_errors(), self._restored_on_error(), transaction(self._db):
            self._check_file()
            for row in rows:
                self._insert(*row)
            self._posteriors.append(results)
            self._db.execute("DELETE FROM open")
            self._db.executemany("INSERT INTO open VALUES (?, ?, ?, ?)", saved)

    def append_corrections(self, made: Sequence[Correction], at: Timestamp) -> None:
        """Store those corrections as records that are not stored yet."""
        lines = ImportedLines(self._db)
        with database_errors(), self._restored_on_error(), transaction(self._db):
            self._check_file()
            for line, one in lines.new(made).items():
                spell = None if one.seq is None else self.spell(one.seq, one.source)
                self._insert(correction_fields(one, self._node, spell, at), at.utc_ms, at.utc_ms)
                lines.add(line, self._last_seq)

    def spell(self, seq: int, source: str) -> dict[str, Any] | None:
        """Return the spell of a `seq` with its hash; None if there is none of this source."""
        query = "SELECT record, hash FROM spells WHERE seq = ? AND source = ?"
        with database_errors():
            row = self._db.execute(query, (min(seq, 2**62), source)).fetchone()
            found = {**checked_record(row[0]), "seq": seq, "hash": row[1]} if row else None
        return None if found is None or is_correction(found) else found

    @property
    def first_seq(self) -> int:
        """The lowest `seq` that is kept; 0 where none is."""
        with database_errors():
            return int(self._db.execute("SELECT min(seq) FROM spells").fetchone()[0] or 0)

    def outbox_records(self, after_seq: int, limit: int) -> list[OutboxRecord]:
        """Return the oldest records of the outbox after a `seq`, in order."""
        query = "SELECT seq, source, record, prev, hash FROM outbox JOIN spells USING (seq) WHERE seq > ?"
        with database_errors():
            rows = self._db.execute(f"{query} ORDER BY seq LIMIT ?", (after_seq, limit)).fetchall()
            return [
                OutboxRecord(seq=seq, source=source, record={**checked_record(record), "prev": prev, "hash": hash_})
                for seq, source, record, prev, hash_ in rows
            ]

    @property
    def newest_waiting(self) -> int:
        """The highest `seq` in the outbox, 0 if it is empty."""
        with database_errors():
            newest: int = self._db.execute("SELECT max(seq) FROM outbox").fetchone()[0] or 0
            return newest

    def remove_delivered(self, seqs: Sequence[int]) -> None:
        """Remove acknowledged records from the outbox."""
        with database_errors(), transaction(self._db):
            removed = self._db.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in seqs]).rowcount
        self._waiting -= removed

    def prune(self, *, now_ms: int, keep_days: int, max_bytes: int) -> tuple[bool, int]:
        """Delete some of the oldest records if they are too old or the file is too large, and shrink the file a bit.

        Returns whether there is more to do, and the number of undelivered records deleted; age never deletes those.
        """
        with database_errors():
            pruned = prune(self._db, limit_ms=now_ms - keep_days * DAY_MS, max_bytes=max_bytes)
        if pruned.deleted:
            self._count()
        return pruned.more, pruned.undelivered

    def _check_file(self) -> None:
        """Raise FileNotFoundError if the open file was deleted or replaced: SQLite would go on writing into it.

        Raises Damaged if its tables were changed.
        """
        if os.stat(self._path).st_ino != self._inode:
            raise FileNotFoundError(2, "no such file or directory any more")
        if self._schema_version() != self._schema:
            if wrong := wrong_schema(self._db):
                raise Damaged(wrong)
            self._schema = self._schema_version()

    def _schema_version(self) -> int:
        """Return SQLite's number of the schema, which each change of it increases."""
        return int(self._db.execute("PRAGMA schema_version").fetchone()[0])

    def _find_end(self) -> None:
        """Find the last `seq` and hash; a new database starts after every `seq` assigned before."""
        meta = self._meta()
        assigned = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'spells'").fetchone()
        newest = self._db.execute("SELECT seq, hash, end_ms FROM spells ORDER BY seq DESC LIMIT 1").fetchone()
        if assigned is None or (newest and newest[0] > assigned[0]):
            raise Damaged("the table sqlite_sequence was changed: it lacks the last seq assigned")
        self._last_seq = self._reserved.continue_from(assigned[0])
        self._head, self.last_end_ms = newest[1:] if newest else (meta["anchor"], None)
        self.newest_end_ms = self._db.execute("SELECT max(end_ms) FROM spells").fetchone()[0]
        self._count()

    def _meta(self) -> dict[str, str]:
        """Return the table `meta`; a new database gets it here."""
        meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        if not meta and not self._db.execute("SELECT 1 FROM sqlite_sequence WHERE name = 'spells'").fetchone():
            first = self._reserved.limit + 1
            meta = {"node": self._node, "anchor": genesis(self._node, first), "first_seq": str(first)}
            with transaction(self._db):
                self._db.executemany("INSERT INTO meta VALUES (?, ?)", list(meta.items()))
                self._db.execute("INSERT INTO sqlite_sequence VALUES ('spells', ?)", (first - 1,))
        if missing := {"node", "anchor", "first_seq"} - set(meta):
            raise Damaged(f"the table meta lacks {', '.join(sorted(missing))}")
        if meta["node"] != self._node:
            raise Damaged(f"the history of {meta['node']}, not of {self._node}")
        return meta

    def _count(self) -> None:
        """Count the rows again; slow, because it reads the whole index."""
        with database_errors():
            self._stored, self._waiting = (
                self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("spells", "outbox")
            )

    def _store_interrupted(self) -> None:
        """Store the spells that were open when the last writer was killed."""
        query = "SELECT source, record, start_ms, end_ms FROM open ORDER BY end_ms, instr(source, ' ') = 0, source"
        rows = self._db.execute(query).fetchall()
        if rows:
            with self._restored_on_error(), transaction(self._db):
                for source, record, start_ms, end_ms in rows:
                    self._insert({**checked_record(record), "interrupted": " " not in source}, start_ms, end_ms)
                self._db.execute("DELETE FROM open")

    def _insert(self, fields: Mapping[str, Any], start_ms: int, end_ms: int) -> None:
        seq, prev = self._last_seq + 1, self._head
        self._reserved.reserve(seq)
        record = _with_seq(fields, seq)
        self._head = record_hash(prev, record)
        row = (seq, fields["source"], start_ms, end_ms, compact_json(record), prev, self._head)
        self._db.execute("INSERT INTO spells VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        if self._deliver:
            self._db.execute("INSERT INTO outbox VALUES (?)", (seq,))
        self._last_seq, self._stored, self._waiting = seq, self._stored + 1, self._waiting + self._deliver

    @contextmanager
    def _restored_on_error(self) -> Iterator[None]:
        """Restore what is kept in memory when the block's transaction is rolled back."""
        before = self._last_seq, self._head, self._stored, self._waiting, dict(self._posteriors.numbers)
        try:
            yield
        except BaseException:
            self._last_seq, self._head, self._stored, self._waiting, self._posteriors.numbers = before
            raise


def _open_row(key: str, spell: Spell) -> tuple[str, str, int, int]:
    """Return a row of the table `open`; the key of a held spell has a space, which no source id has."""
    return key, compact_json(spell.fields()), spell.start.utc_ms, spell.end.utc_ms


def _with_seq(fields: Mapping[str, Any], seq: int) -> dict[str, Any]:
    """Insert `seq` after `name`, its place in the stored and published record."""
    record: dict[str, Any] = {}
    for key, value in fields.items():
        record[key] = value
        if key == "name":
            record["seq"] = seq
    return record

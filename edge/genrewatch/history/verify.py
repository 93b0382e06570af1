"""Verification of a history: finds records changed, removed, inserted, swapped or cut off, by their hashes.

The owner of the file could rewrite all of it. The newest hash, noted elsewhere, shows that too; it is in each
`health` message and in each delivered record.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from genrewatch.history.chain import genesis, record_hash
from genrewatch.history.database import CONTENT_ERRORS, Damaged, database_errors
from genrewatch.history.reader import HistoryReader
from genrewatch.host.times import rfc3339_to_ms


@dataclass(frozen=True, kw_only=True)
class Link:
    """A record with its place in the chain."""

    seq: int
    record: Mapping[str, Any]
    prev: str
    hash: str


@dataclass(kw_only=True)
class Verification:
    """The findings about one node's history."""

    node: str
    records: int = 0
    """Number of records that are intact."""
    first: Link | None = None
    last: Link | None = None
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """First and last `seq` of missing records, where that is no fault."""
    restarts: list[int] = field(default_factory=list)
    """The `seq` of each record that starts a new chain, as after a damaged database."""
    fault_seq: int | None = None
    """The first record at fault, if the fault is in a record."""
    fault: str | None = None
    """The fault, as text; None if the history is intact."""

    def add(self, link: Link, prev_hash: str | None) -> bool:
        """Check the next record and return whether it is intact; `prev_hash` is the hash before it, None if unknown."""
        fault = self._fault_of(link, prev_hash)
        if fault:
            self.fault_seq, self.fault = link.seq, fault
            return False
        self.records += 1
        self.first, self.last = self.first or link, link
        return True

    def _fault_of(self, link: Link, prev_hash: str | None) -> str | None:
        if link.record.get("seq") != link.seq:
            return f"stored as {link.seq}, but its content is that of {link.record.get('seq')}"
        if link.record.get("node") != self.node:
            return f"a record of node {link.record.get('node')}, not of {self.node}"
        if prev_hash is not None and link.prev != prev_hash:
            return self._broken_link(link)
        try:
            intact = record_hash(link.prev, link.record) == link.hash
        except (ValueError, RecursionError):  # NaN or deep nesting, which genrewatch never writes
            intact = False
        return None if intact else "its content does not match its hash"

    def _broken_link(self, link: Link) -> str:
        if self.last is None:
            return "its prev is not the anchor of the history: records before it were removed, or it was changed"
        if link.seq > self.last.seq + 1:
            return f"the records between it and {self.last.seq} were removed"
        return f"its prev is not the hash of {self.last.seq}: one of the two was changed or inserted"


def verify_history(reader: HistoryReader) -> Verification:
    """Check a database in one read transaction; damage is a finding too. Raises Unavailable."""
    found = Verification(node="")
    try:
        with database_errors():
            reader.db.execute("BEGIN")
            try:
                _verify(reader, found)
            finally:
                if reader.db.in_transaction:
                    reader.db.execute("ROLLBACK")
    except Damaged as exc:
        found.fault = f"the file is damaged: {exc}"
    return found


def _verify(reader: HistoryReader, found: Verification) -> None:
    meta = reader.meta()
    found.node = meta.get("node", "")
    if missing := {"node", "anchor", "first_seq"} - set(meta):
        if reader.newest_seq:
            found.fault = f"the table meta lacks {', '.join(sorted(missing))}"
        return  # a database that was just created
    if not (meta["first_seq"].isascii() and meta["first_seq"].isdigit()):
        found.fault = "the table meta was changed"
        return
    result = reader.db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if result != "ok":
        raise Damaged(str(result))
    for link, columns_agree in _links(reader):
        last = found.last
        if not found.add(link, last.hash if last else meta["anchor"]):
            return
        if not columns_agree:
            found.fault_seq, found.fault = link.seq, "the columns source, start_ms or end_ms differ from the record"
            return
        if last and link.seq > last.seq + 1:  # the chain is intact: an older copy of the file was once put back
            found.gaps.append((last.seq + 1, link.seq - 1))
    found.fault = _fault_at_end(found, meta, reader.newest_seq)


def _fault_at_end(found: Verification, meta: Mapping[str, str], newest: int) -> str | None:
    """Return a fault if the newest records are missing; after pruning, a history without records is intact."""
    never_pruned = meta["anchor"] == genesis(found.node, int(meta["first_seq"]))
    end = found.last.seq if found.last else int(meta["first_seq"]) - 1 if never_pruned else newest
    if end != newest:
        return f"its end was cut off: the last seq assigned is {newest}, the last record is {end}"
    return None


def _links(reader: HistoryReader) -> Iterator[tuple[Link, bool]]:
    """Yield each record, and whether the columns that queries use agree with it."""
    rows = reader.db.execute("SELECT seq, record, prev, hash, source, start_ms, end_ms FROM spells ORDER BY seq")
    for seq, text, prev, hash_, *columns in rows:
        try:
            record = json.loads(text)
            expected = [record["source"], rfc3339_to_ms(record["start"]), rfc3339_to_ms(record["end"])]
        except CONTENT_ERRORS:
            record, expected = {}, []
        yield Link(seq=seq, record=record, prev=prev, hash=hash_), expected == columns


def verify_records(records: Iterable[Mapping[str, Any]]) -> list[Verification]:
    """Check printed or published records, by node; they may be unordered, repeated or incomplete."""
    nodes: dict[str, list[Link]] = {}
    for record in records:
        link = Link(seq=record["seq"], record=record, prev=record["prev"], hash=record["hash"])
        nodes.setdefault(str(record.get("node")), []).append(link)
    return [_verify_links(node, sorted(links, key=lambda link: link.seq)) for node, links in nodes.items()]


def _verify_links(node: str, links: list[Link]) -> Verification:
    found = Verification(node=node)
    for link in links:
        last, prev_hash = found.last, None
        if last and link.seq > last.seq + 1:
            found.gaps.append((last.seq + 1, link.seq - 1))
        elif last and link.seq == last.seq:
            if {**link.record, "backfilled": None} == {**last.record, "backfilled": None}:
                continue  # delivered twice
            found.fault_seq, found.fault = link.seq, "two records have this seq and differ"
            break
        elif last and link.prev == genesis(node, link.seq):
            found.restarts.append(link.seq)
        elif last:
            prev_hash = last.hash
        if not found.add(link, prev_hash):
            break
    return found

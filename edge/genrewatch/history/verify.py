"""Shows that a log is whole: nothing changed, taken out, put in, swapped or cut off, as far as its hashes reach.

Who owns the file could write all of it anew: the newest hash, noted elsewhere (it is in each `health` and with each
delivered record), shows that too.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from genrewatch.history.chain import genesis, record_hash
from genrewatch.history.database import Damaged, judged
from genrewatch.history.reading import Log
from genrewatch.host.times import rfc3339_to_ms


@dataclass(frozen=True, kw_only=True)
class Link:
    """A record as it hangs in the chain."""

    seq: int
    record: Mapping[str, Any]
    prev: str
    hash: str


@dataclass(kw_only=True)
class Verification:
    """What was found of one node's log."""

    node: str
    records: int = 0
    """That were looked at and are as they should be."""
    first: Link | None = None
    last: Link | None = None
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """First and last `seq` of what is not there, where that is no fault."""
    begun_anew: list[int] = field(default_factory=list)
    """Records that follow none although there is one before: the first of a new log, as after a damaged one."""
    wrong_seq: int | None = None
    """The first record that is not as it should be, if it is one."""
    wrong: str | None = None
    """What is wrong, of that record or of the whole."""

    def add(self, link: Link, after: str | None) -> bool:
        """Looks at the next record, which must follow the hash `after`, if that is known; whether it is right."""
        fault = self._fault(link, after)
        if fault:
            self.wrong_seq, self.wrong = link.seq, fault
            return False
        self.records += 1
        self.first, self.last = self.first or link, link
        return True

    def _fault(self, link: Link, after: str | None) -> str | None:
        if link.record.get("seq") != link.seq:
            return f"it stands in the place of {link.seq}, but says of itself that it is {link.record.get('seq')}"
        if link.record.get("node") != self.node:
            return f"it is a record of node {link.record.get('node')}, not of {self.node}"
        if after is not None and link.prev != after:
            return self._unhung(link)
        try:
            right = record_hash(link.prev, link.record) == link.hash
        except ValueError:  # NaN, which no writer of ours writes
            right = False
        return None if right else "its contents are not those that its hash was made from"

    def _unhung(self, link: Link) -> str:
        if self.last is None:
            return "it does not follow what the log begins with: what was before it has been taken out, or it changed"
        if link.seq > self.last.seq + 1:
            return f"what was between it and {self.last.seq} has been taken out"
        return f"its prev is not the hash of {self.last.seq}: one of the two was changed, or put in"


def verify_log(log: Log) -> Verification:
    """Checks a database against itself, all of one moment; what is damaged is a finding too."""
    found = Verification(node="")
    try:
        with judged():
            log.db.execute("BEGIN")
            try:
                _verify(log, found)
            finally:
                if log.db.in_transaction:
                    log.db.execute("ROLLBACK")
    except Damaged as exc:
        found.wrong = f"the file is damaged: {exc}"
    return found


def _verify(log: Log, found: Verification) -> None:
    meta = log.meta()
    found.node = meta.get("node", "")
    if missing := {"node", "anchor", "first_seq"} - set(meta):
        if log.newest_seq:
            found.wrong = f"the table meta lacks {', '.join(sorted(missing))}"
        return  # just made
    if not meta["first_seq"].isdigit():
        found.wrong = "the table meta was changed"
        return
    verdict = log.db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise Damaged(str(verdict))
    for link, columns_agree in _links(log):
        last = found.last
        if not found.add(link, last.hash if last else meta["anchor"]):
            return
        if not columns_agree:
            found.wrong_seq, found.wrong = link.seq, "its source or times are not those it is found by"
            return
        if last and link.seq > last.seq + 1:  # and yet it hangs on it: the file was once put back in an older state
            found.gaps.append((last.seq + 1, link.seq - 1))
    found.wrong = _end_fault(found, meta, log.newest_seq)


def _end_fault(found: Verification, meta: Mapping[str, str], newest: int) -> str | None:
    """What is wrong with where the log ends; one of which all has been forgotten in time ends anywhere."""
    untouched = meta["anchor"] == genesis(found.node, int(meta["first_seq"]))
    end = found.last.seq if found.last else int(meta["first_seq"]) - 1 if untouched else newest
    if end != newest:
        return f"its end was cut off: the last record given was {newest}, and the last there is {end}"
    return None


def _links(log: Log) -> Iterator[tuple[Link, bool]]:
    """Each record, and whether the columns that it is found by say what it says."""
    rows = log.db.execute("SELECT seq, record, prev, hash, source, start_ms, end_ms FROM spells ORDER BY seq")
    for seq, text, prev, hash_, *columns in rows:
        try:
            record = json.loads(text)
            said = [record["source"], rfc3339_to_ms(record["start"]), rfc3339_to_ms(record["end"])]
        except (ValueError, TypeError, KeyError):
            record, said = {}, []
        yield Link(seq=seq, record=record, prev=prev, hash=hash_), said == columns


def verify_records(records: Iterable[Mapping[str, Any]]) -> list[Verification]:
    """Checks records as they are printed and published, in any order, some perhaps twice or not there; by node."""
    nodes: dict[str, list[Link]] = {}
    for record in records:
        link = Link(seq=record["seq"], record=record, prev=record["prev"], hash=record["hash"])
        nodes.setdefault(str(record.get("node")), []).append(link)
    return [_verified(node, sorted(links, key=lambda link: link.seq)) for node, links in nodes.items()]


def _verified(node: str, links: list[Link]) -> Verification:
    found = Verification(node=node)
    for link in links:
        last, after = found.last, None
        if last and link.seq > last.seq + 1:
            found.gaps.append((last.seq + 1, link.seq - 1))
        elif last and link.seq == last.seq:
            if {**link.record, "backfilled": None} == {**last.record, "backfilled": None}:
                continue  # delivered twice
            found.wrong_seq, found.wrong = link.seq, "there are two that differ"
            break
        elif last and link.prev == genesis(node, link.seq):
            found.begun_anew.append(link.seq)
        elif last:
            after = last.hash
        if not found.add(link, after):
            break
    return found

"""Compares the records that a subscriber received with those that a node has stored.

Pure functions of what was stored, received and acknowledged. They count what is missing, duplicated or out of order.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from genrewatch.contract.compact_json import compact_json

UNSTORED_FIELD = "backfilled"
"""The only field of a published record that is not stored."""


@dataclass(frozen=True, kw_only=True)
class ReceivedRecord:
    """A record as a subscriber received it."""

    at: float
    """Time of arrival on the monotonic clock."""
    node: str
    source: str
    seq: int
    text: str
    """The record as `canonical` JSON."""
    backfilled: bool


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The counts of one node's records."""

    stored: int
    received: int
    """Stored records that were received, each counted once."""
    twice: int
    """Deliveries after the first, under the same `seq`."""
    renumbered: int
    """Spells that occur twice, under different `seq`."""
    contradictions: int
    """`seq` with two contents, among the received records or between them and the database."""
    unknown: int
    """Received records that are not in the database."""
    lost: int
    """Stored records that were neither received nor acknowledged by the broker."""
    lost_by_broker: int
    """Records acknowledged by a broker that was killed before it forwarded them."""
    missing: int
    """`seq` between the first and the last that are not in the database."""
    disorder: int
    """First deliveries that arrived after a later record of the same source."""
    holes: int
    """Stretches of a run's sound that are in no spell."""

    def numbers(self) -> dict[str, int]:
        """Return the rows of a table."""
        return {
            "records stored": self.stored,
            "received": self.received,
            "received twice (same seq)": self.twice,
            "twice under a new seq": self.renumbered,
            "one seq, two contents": self.contradictions,
            "received, not stored": self.unknown,
            "lost": self.lost,
            "lost by the killed broker": self.lost_by_broker,
            "seq missing": self.missing,
            "order violations": self.disorder,
            "holes in the sound": self.holes,
        }

    @property
    def problems(self) -> list[str]:
        """The counts that must be zero and are not."""
        must_be_zero = {
            "twice under a new seq": self.renumbered,
            "with two contents": self.contradictions,
            "received but not stored": self.unknown,
            "lost": self.lost,
            "seq missing": self.missing,
            "out of order": self.disorder,
            "holes": self.holes,
        }
        return [f"{count} {what}" for what, count in must_be_zero.items() if count]


def canonical(record: Mapping[str, Any]) -> str:
    """Return a record as JSON with its hashes, without the field that is added when it is published."""
    kept = {key: value for key, value in record.items() if key != UNSTORED_FIELD}
    return compact_json(kept)


def audit(stored: Mapping[int, str], received: Sequence[ReceivedRecord], acknowledged: Set[int]) -> Audit:
    """Compare the stored and received records of one node; `acknowledged` holds the `seq` with a PUBACK."""
    contents: dict[int, set[str]] = defaultdict(set)
    for record in received:
        contents[record.seq].add(record.text)
    absent = set(stored) - set(contents)
    everything = {**{seq: min(texts) for seq, texts in contents.items()}, **stored}
    records = [json.loads(everything[seq]) for seq in sorted(everything)]
    return Audit(
        stored=len(stored),
        received=len(set(contents) & set(stored)),
        twice=len(received) - len(contents),
        renumbered=len(duplicates(records)),
        contradictions=sum(len(texts | {stored.get(seq, min(texts))}) > 1 for seq, texts in contents.items()),
        unknown=len(set(contents) - set(stored)),
        lost=len(absent - acknowledged),
        lost_by_broker=len(absent & acknowledged),
        missing=max(stored) - min(stored) + 1 - len(stored) if stored else 0,
        disorder=disorder(received),
        holes=len(holes(records)),
    )


def total(audits: Iterable[Audit]) -> Audit:
    """Return the sums over all nodes."""
    added: Counter[str] = Counter(dict.fromkeys(Audit.__annotations__, 0))
    for one in audits:
        added.update(vars(one))
    return Audit(**added)


def disorder(received: Iterable[ReceivedRecord]) -> int:
    """Count first deliveries that arrived after that of a later record of the same source."""
    newest: dict[tuple[str, str], int] = {}
    seen: set[tuple[str, int]] = set()
    late = 0
    for record in received:
        if (record.node, record.seq) in seen:
            continue
        seen.add((record.node, record.seq))
        place = (record.node, record.source)
        late += record.seq < newest.get(place, 0)
        newest[place] = max(record.seq, newest.get(place, 0))
    return late


def duplicates(records: Iterable[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Return pairs of `seq` of records that hold the same stretch of the same stream; `records` are in order."""
    found, last = [], dict[tuple[str, str], tuple[int, int]]()
    for record in records:
        start, end = _stretch(record)
        place = (record["run"], record["source"])
        seq, reached = last.get(place, (0, 0))
        if record["reason"] != "stalled" and start < min(reached, end):
            found.append((seq, record["seq"]))
        if record["reason"] != "stalled" and end >= reached:
            last[place] = (record["seq"], end)
    return found


def holes(records: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return the `seq` of records before which sound of their stream is in no record; `records` are in order."""
    found, reached = [], dict[tuple[str, str], int]()
    for record in records:
        start, end = _stretch(record)
        place = (record["run"], record["source"])
        if start > reached.get(place, 0) and record["reason"] != "stalled":
            found.append(record["seq"])
        reached[place] = max(end, reached.get(place, 0))
    return found


def _stretch(record: Mapping[str, Any]) -> tuple[int, int]:
    """Return (start, end) of a record in its stream, milliseconds."""
    return round(1000 * record["start_s"]), round(1000 * record["end_s"])

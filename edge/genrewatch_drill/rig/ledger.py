"""Holds what a subscriber got against what a node's database holds, and says what is missing, doubled or out of order.

Pure: it is given what was stored, received and acknowledged, as the drill has gathered it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from genrewatch.contract.compact_json import compact_json

ADDED = "backfilled"
"""The one field of a published record that is not stored."""


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A record as a subscriber got it."""

    at: float
    """When, on the monotonic clock."""
    node: str
    source: str
    seq: int
    text: str
    """See `plain`."""
    backfilled: bool


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What became of the records of one node."""

    stored: int
    received: int
    """Of these, each counted once."""
    twice: int
    """Deliveries beyond the first, under the same `seq`."""
    renumbered: int
    """Spells that there are twice, under different `seq`."""
    contradictions: int
    """`seq` with two contents: among what was received, or between that and the database."""
    unknown: int
    """Received, but not in the database."""
    lost: int
    """Stored and neither received nor acknowledged by the broker."""
    lost_by_broker: int
    """Acknowledged by a broker that was killed before it handed them on."""
    missing: int
    """`seq` between the first and the last that are not in the database."""
    disorder: int
    """First deliveries that came after a later record of the same source."""
    holes: int
    """Places where sound of a run lies in no spell, though there are spells before and after."""

    def figures(self) -> dict[str, int]:
        """As rows of a table."""
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
    def wrong(self) -> list[str]:
        """What of this breaks the promise."""
        broken = {
            "twice under a new seq": self.renumbered,
            "with two contents": self.contradictions,
            "received but not stored": self.unknown,
            "lost": self.lost,
            "seq missing": self.missing,
            "out of order": self.disorder,
            "holes": self.holes,
        }
        return [f"{count} {what}" for what, count in broken.items() if count]


def plain(record: Mapping[str, Any]) -> str:
    """A record as JSON, hashes included, but without what is added when it is sent: what must never differ."""
    kept = {key: value for key, value in record.items() if key != ADDED}
    return compact_json(kept)


def audit(stored: Mapping[int, str], receipts: Sequence[Receipt], acknowledged: Set[int]) -> Audit:
    """`stored` and `receipts` are those of one node; `acknowledged` are the `seq` that its broker has taken."""
    contents: dict[int, set[str]] = defaultdict(set)
    for receipt in receipts:
        contents[receipt.seq].add(receipt.text)
    absent = set(stored) - set(contents)
    everything = {**{seq: min(texts) for seq, texts in contents.items()}, **stored}
    records = [json.loads(everything[seq]) for seq in sorted(everything)]
    return Audit(
        stored=len(stored),
        received=len(set(contents) & set(stored)),
        twice=len(receipts) - len(contents),
        renumbered=len(doubled(records)),
        contradictions=sum(len(texts | {stored.get(seq, min(texts))}) > 1 for seq, texts in contents.items()),
        unknown=len(set(contents) - set(stored)),
        lost=len(absent - acknowledged),
        lost_by_broker=len(absent & acknowledged),
        missing=max(stored) - min(stored) + 1 - len(stored) if stored else 0,
        disorder=disorder(receipts),
        holes=len(holes(records)),
    )


def total(audits: Iterable[Audit]) -> Audit:
    """All nodes together."""
    added: Counter[str] = Counter(dict.fromkeys(Audit.__annotations__, 0))
    for one in audits:
        added.update(vars(one))
    return Audit(**added)


def disorder(receipts: Iterable[Receipt]) -> int:
    """First deliveries that came after the first of a later record of the same source."""
    newest: dict[tuple[str, str], int] = {}
    seen: set[tuple[str, int]] = set()
    late = 0
    for receipt in receipts:
        if (receipt.node, receipt.seq) in seen:
            continue
        seen.add((receipt.node, receipt.seq))
        place = (receipt.node, receipt.source)
        late += receipt.seq < newest.get(place, 0)
        newest[place] = max(receipt.seq, newest.get(place, 0))
    return late


def doubled(records: Iterable[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Pairs of `seq` of records, in order, that hold the same stretch of the same stream."""
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
    """`seq` of records, in order, before which sound of their stream is in no record, or that nothing precedes."""
    found, reached = [], dict[tuple[str, str], int]()
    for record in records:
        start, end = _stretch(record)
        place = (record["run"], record["source"])
        if start > reached.get(place, 0) and record["reason"] != "stalled":
            found.append(record["seq"])
        reached[place] = max(end, reached.get(place, 0))
    return found


def _stretch(record: Mapping[str, Any]) -> tuple[int, int]:
    """Where in its stream it begins and ends, milliseconds."""
    return round(1000 * record["start_s"]), round(1000 * record["end_s"])

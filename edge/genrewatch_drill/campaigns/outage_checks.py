"""What must hold of a node whose broker was away for a while: what it says afterwards, how fast, and how it adds up."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from genrewatch_drill.rig.collector import Heard
from genrewatch_drill.rig.ledger import Receipt

SLACK_S = 1.5
"""For what is under way on a busy machine."""

Outage = tuple[float, float]
"""(killed, open again), on the monotonic clock."""


def stale_states(heard: Iterable[Heard], expire_s: float) -> list[str]:
    """States that were said though they had expired or had been overtaken by one said before, and events that were
    said long after they happened."""
    found, newest = [], dict[str, int]()
    for message in heard:
        if message.kind not in ("state", "event") or not message.payload:
            continue
        body = message.body
        age_s = message.wall - datetime.fromisoformat(body["ts"]).timestamp()
        if message.kind == "event":
            if age_s > SLACK_S:
                found.append(f"an event of {message.source}, {age_s:.1f} s old")
        elif age_s + (message.expiry_s or 0) > expire_s + SLACK_S:
            found.append(f"a state of {message.source}, {age_s:.1f} s old, that holds {message.expiry_s} s more")
        elif body["seq"] < newest.get(message.source, 0):
            found.append(f"state {body['seq']} of {message.source} after {newest[message.source]}")
        if message.kind == "state":
            newest[message.source] = max(body["seq"], newest.get(message.source, 0))
    return found


def too_fast(receipts: Sequence[Receipt], per_s: float) -> int:
    """How many back-filled records came sooner than the pace allows, which lets as many as a second's go at once."""
    late = [receipt.at for receipt in receipts if receipt.backfilled]
    hurried = 0
    for number, at in enumerate(late):
        earlier = sum(at - SLACK_S <= other for other in late[:number])
        hurried += earlier + 1 > per_s * SLACK_S + 2 * max(1.0, per_s)
    return hurried


def wrongly_marked(receipts: Iterable[Receipt], outages: Sequence[Outage]) -> int:
    """Records that had to wait for the broker and are not marked so, or that had not and are."""
    wrong, seen = 0, set[int]()
    for receipt in receipts:
        if receipt.seq in seen:
            continue
        seen.add(receipt.seq)
        ended = json.loads(receipt.text)["mono_end_s"]
        waited = any(killed < ended < back - SLACK_S and receipt.at > back for killed, back in outages)
        at_once = receipt.at - ended < SLACK_S and all(abs(ended - back) > 20 for _, back in outages)
        wrong += (waited and not receipt.backfilled) or (at_once and receipt.backfilled)
    return wrong


def kept_s(texts: Iterable[str]) -> dict[str, float]:
    """Sound heard and lost by source, as the records have it."""
    found: dict[str, float] = defaultdict(float)
    for record in map(json.loads, texts):
        found[record["source"]] += record["heard_s"] + record["lost_s"]
    return dict(found)


def health_s(heard: Sequence[Heard]) -> dict[str, float]:
    """The same as the newest `health` has it."""
    said = [message for message in heard if message.kind == "health"]
    sources = said[-1].body["sources"] if said else {}
    return {name: source["heard_s"] + source["lost_s"] for name, source in sources.items()}

"""Checks of a node after an outage of its broker: what it publishes, how fast, and whether its records add up."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from genrewatch_drill.rig.audit import ReceivedRecord
from genrewatch_drill.rig.collector import ReceivedMessage

SLACK_S = 1.5
"""Delay of messages on a busy machine."""

Outage = tuple[float, float]
"""(killed, open again), on the monotonic clock."""


def stale_messages(messages: Iterable[ReceivedMessage], expire_s: float) -> list[str]:
    """Return descriptions of states published after their expiry or after a newer state, and of late events."""
    found, newest = [], dict[str, int]()
    for message in messages:
        if message.kind not in ("state", "event") or not message.payload:
            continue
        body = message.body
        age_s = message.wall - datetime.fromisoformat(body["ts"]).timestamp()
        if message.kind == "event":
            if age_s > SLACK_S:
                found.append(f"an event of {message.source}, {age_s:.1f} s old")
        elif age_s + (message.expiry_s or 0) > expire_s + SLACK_S:
            found.append(f"a state of {message.source}, {age_s:.1f} s old, valid for {message.expiry_s} s more")
        elif body["seq"] < newest.get(message.source, 0):
            found.append(f"state {body['seq']} of {message.source} after {newest[message.source]}")
        if message.kind == "state":
            newest[message.source] = max(body["seq"], newest.get(message.source, 0))
    return found


def too_fast(records: Sequence[ReceivedRecord], per_s: float) -> int:
    """Count the back-filled records beyond the configured rate, which allows bursts of one second's records."""
    late = [record.at for record in records if record.backfilled]
    excess = 0
    for number, at in enumerate(late):
        earlier = sum(at - SLACK_S <= other for other in late[:number])
        excess += earlier + 1 > per_s * SLACK_S + 2 * max(1.0, per_s)
    return excess


def wrongly_marked(records: Iterable[ReceivedRecord], outages: Sequence[Outage]) -> int:
    """Count the records that waited for the broker without the mark `backfilled`, or have it and did not wait."""
    count, seen = 0, set[int]()
    for record in records:
        if record.seq in seen:
            continue
        seen.add(record.seq)
        ended = json.loads(record.text)["mono_end_s"]
        waited = any(killed < ended < back - SLACK_S and record.at > back for killed, back in outages)
        at_once = record.at - ended < SLACK_S and all(abs(ended - back) > 20 for _, back in outages)
        count += (waited and not record.backfilled) or (at_once and record.backfilled)
    return count


def kept_s(texts: Iterable[str]) -> dict[str, float]:
    """Return by source the seconds received and lost, summed over records."""
    found: dict[str, float] = defaultdict(float)
    for record in map(json.loads, texts):
        found[record["source"]] += record["heard_s"] + record["lost_s"]
    return dict(found)


def health_s(messages: Sequence[ReceivedMessage]) -> dict[str, float]:
    """Return the same from the newest `health`."""
    health = [message for message in messages if message.kind == "health"]
    sources = health[-1].body["sources"] if health else {}
    return {name: source["heard_s"] + source["lost_s"] for name, source in sources.items()}

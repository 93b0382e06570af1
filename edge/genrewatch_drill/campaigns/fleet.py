"""`genrewatch drill --fleet N`: N nodes on one Mosquitto, which is killed in the middle and restarts empty.

Real daemons with real sinks, 25 in a process (see `fleet_node`). Every record of every node is counted at the
subscriber, and the broker must hold everything that Home Assistant needs of each node afterwards.
"""

import json
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from genrewatch_drill.campaigns.fleet_processes import Fleet, Load, watch
from genrewatch_drill.campaigns.report import Numbers, Report
from genrewatch_drill.rig.audit import Audit, ReceivedRecord, audit, total
from genrewatch_drill.rig.collector import Collector, ReceivedMessage
from genrewatch_drill.rig.delivery import deliver_outbox
from genrewatch_drill.rig.killable_broker import KillableBroker
from genrewatch_drill.rig.snapshot import Snapshot, snapshot
from genrewatch_drill.servers.programs import find_program

DELIVERIES_AT_ONCE = 8
CAUGHT_UP_S, PRESENT_S = 120.0, 60.0
DEAD_SHARE, LONGEST_DEAD_S = 1 / 4, 30.0
"""Share of the time without the broker, and its upper bound."""
FROZEN_S = 2.0
"""Time for which the broker hangs before it is killed."""
TOPICS = ("status", "config", "availability", "state")
"""Retained topics of each node."""
DESCRIPTORS = 8192
TOLERANCE_S = 1.0
LONGEST_HEALTH_S = 10.0

OnProgress = Callable[[str], None]


def fleet_drill(
    directory: Path, count: int, *, minutes: float = 2.0, on_progress: OnProgress = lambda line: None
) -> Report:
    """Run the fleet for a time, check and report; leaves no process."""
    title = f"{count} nodes on one Mosquitto for {minutes:g} min, the broker killed in the middle"
    if not find_program("mosquitto"):
        return Report(name="fleet", title=title, skipped="mosquitto is not installed")
    _raise_descriptor_limit()
    directory.mkdir(parents=True, exist_ok=True)
    began, load = time.monotonic(), Load()
    with KillableBroker(directory / "broker") as broker:
        health_s = max(1.0, min(LONGEST_HEALTH_S, 60 * minutes / 12))
        fleet = Fleet(directory, broker.url, count, health_s=health_s)
        on_progress(f"  {count} nodes listen after {time.monotonic() - began:.0f} s")
        try:
            caught_up_s = _listen(fleet, broker, 60 * minutes, load, on_progress)
            absent = absent_topics(broker.port, fleet.names)
            durations = fleet.stop()
        finally:
            fleet.kill()
        undelivered = _deliver_outboxes(fleet, broker)
        snapshots = {name: snapshot(fleet.state(name), name) for name in fleet.names}
        found = total(_audits(snapshots, broker))
    numbers: Numbers = {
        **_record_numbers(snapshots, found, broker),
        "back-fill done after": f"{caught_up_s:.1f} s",
        "topics absent afterwards": f"{len(absent)} of {len(TOPICS) * count}",
        **_load_numbers(load, count),
        "seconds": round(time.monotonic() - began),
    }
    problems = _problems(found, snapshots, undelivered, absent) + duration_problems(snapshots, durations)
    return Report(name="fleet", title=title, numbers=numbers, problems=problems)


def _problems(
    found: Audit, snapshots: Mapping[str, Snapshot], undelivered: Sequence[str], absent: Sequence[str]
) -> list[str]:
    problems = found.problems + [f"{name}: {one.problem}" for name, one in snapshots.items() if one.problem][:3]
    problems += [f"{len(undelivered)} nodes could not deliver all"] if undelivered else []
    return problems + ([f"{len(absent)} topics absent afterwards: {', '.join(absent[:3])}"] if absent else [])


def _record_numbers(snapshots: Mapping[str, Snapshot], found: Audit, broker: KillableBroker) -> Numbers:
    return {
        "nodes": len(snapshots),
        "the broker was dead": f"{sum(back - killed for killed, back in broker.outages):.0f} s",
        **found.numbers(),
        "chain whole": f"{sum(not one.problem for one in snapshots.values())} of {len(snapshots)}",
        "back-filled": sum(record.backfilled for record in broker.collector.records),
    }


def _load_numbers(load: Load, count: int) -> Numbers:
    share = 100 * load.cpu_s / load.seconds
    return {
        "processor of the fleet": f"{share:.0f} % of a core, {share / count:.2f} % a node",
        "processor of the broker": f"{100 * load.broker_cpu_s / load.seconds:.1f} % of a core",
        "memory": f"{load.rss_mb:.0f} MB of the fleet, {load.broker_rss_mb:.0f} MB of the broker",
    }


def _listen(fleet: Fleet, broker: KillableBroker, seconds: float, load: Load, on_progress: OnProgress) -> float:
    """Run with the broker, without it and with it again; return the seconds until all nodes had caught up."""
    start, dead_s = time.monotonic(), min(LONGEST_DEAD_S, seconds * DEAD_SHARE)
    watch(fleet, broker, start + (seconds - dead_s) / 2, load, on_progress)
    broker.kill(frozen_s=FROZEN_S)
    watch(fleet, broker, time.monotonic() + dead_s, load, on_progress)
    broker.start()
    back = time.monotonic()
    watch(fleet, broker, start + seconds, load, on_progress)
    deadline = time.monotonic() + CAUGHT_UP_S
    while _behind(broker.collector, fleet.names, back) and time.monotonic() < deadline:
        time.sleep(1.0)
    late = [record.at for record in list(broker.collector.records) if record.backfilled and record.at > back]
    return max(late, default=back) - back


def _behind(collector: Collector, names: Sequence[str], back: float) -> int:
    """Count the nodes whose newest health still has records waiting, apart from the newest one."""
    waiting = dict.fromkeys(names, 99)
    for message in list(collector.messages):
        if message.kind == "health" and message.at > back:
            waiting[message.node] = message.body["history"]["waiting"]
    return sum(count > 1 for count in waiting.values())


def absent_topics(port: int, names: Sequence[str]) -> list[str]:
    """Return the retained topics of the nodes that a new subscriber does not receive."""
    collector = Collector()
    collector.connect(port)
    wanted = {(name, kind) for name in names for kind in TOPICS}
    missing, deadline = wanted, time.monotonic() + PRESENT_S
    while missing and time.monotonic() < deadline:
        time.sleep(0.5)
        missing = wanted - {(message.node, message.kind) for message in list(collector.messages) if _holds(message)}
    collector.disconnect()
    return sorted(f"{kind} of {name}" for name, kind in missing)


def _holds(message: ReceivedMessage) -> bool:
    return message.retain and (message.kind not in ("status", "availability") or message.payload == b"online")


def _deliver_outboxes(fleet: Fleet, broker: KillableBroker) -> list[str]:
    """Deliver the outboxes that are not empty; return the nodes that could not in time."""
    names = [name for name in fleet.names if snapshot(fleet.state(name), name).outbox]
    with ThreadPoolExecutor(DELIVERIES_AT_ONCE) as pool:
        done = pool.map(lambda name: deliver_outbox(fleet.state(name), name, broker.url), names)
        return [name for name, delivered in zip(names, done, strict=True) if not delivered]


def _audits(snapshots: Mapping[str, Snapshot], broker: KillableBroker) -> list[Audit]:
    records: dict[str, list[ReceivedRecord]] = defaultdict(list)
    for record in broker.collector.records:
        records[record.node].append(record)
    return [audit(one.texts, records[name], broker.acknowledgements.of(name)) for name, one in snapshots.items()]


def duration_problems(snapshots: Mapping[str, Snapshot], durations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the nodes whose records do not add up to the duration that they reported, and those without a report."""
    problems = [f"{name} ended without a report" for name in snapshots if name not in durations]
    for name, reported in durations.items():
        records = map(json.loads, snapshots[name].texts.values())
        kept_s = sum(record["heard_s"] + record["lost_s"] for record in records)
        if abs(kept_s - reported["heard_s"] - reported["lost_s"]) > TOLERANCE_S:
            problems.append(f"{name} received {reported['heard_s']:.1f} s, its records hold {kept_s:.1f} s")
    return problems[:3]


def _raise_descriptor_limit() -> None:
    """Allow the proxy's two connections per node."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

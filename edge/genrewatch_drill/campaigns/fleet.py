"""`genrewatch drill --fleet N`: N nodes on one Mosquitto, which is killed in the middle and comes back empty.

Real daemons with real sinks, 25 to a process (see `fleet_node`). Every record of every node is counted at the other
end, and all that Home Assistant needs of each node must be on the broker again afterwards.
"""

import json
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from genrewatch_drill.campaigns.finding import Figures, Finding
from genrewatch_drill.campaigns.fleet_processes import Fleet, Load, watch
from genrewatch_drill.rig.broker import find_program
from genrewatch_drill.rig.collector import Collector, Heard
from genrewatch_drill.rig.exchange import Exchange
from genrewatch_drill.rig.ledger import Audit, Receipt, audit, total
from genrewatch_drill.rig.rest import deliver_rest
from genrewatch_drill.rig.snapshot import Snapshot, snapshot

AT_ONCE = 8
CAUGHT_UP_S, PRESENT_S = 120.0, 60.0
DEAD_SHARE, LONGEST_DEAD_S = 1 / 4, 30.0
"""How much of the time the broker is dead."""
FROZEN_S = 2.0
"""How long it hangs before."""
TOPICS = ("status", "config", "availability", "state")
"""What a broker must hold of each node."""
DESCRIPTORS = 8192
TO_THE_SECOND_S = 1.0
LONGEST_HEALTH_S = 10.0

Tell = Callable[[str], None]


def fleet_drill(directory: Path, count: int, *, minutes: float = 2.0, tell: Tell = lambda line: None) -> Finding:
    """Listens for so long, and counts; nothing stays running."""
    title = f"{count} nodes on one Mosquitto for {minutes:g} min, the broker killed in the middle"
    if not find_program("mosquitto"):
        return Finding(name="fleet", title=title, skipped="mosquitto is not installed")
    _allow_descriptors()
    directory.mkdir(parents=True, exist_ok=True)
    began, load = time.monotonic(), Load()
    with Exchange(directory / "broker") as exchange:
        health_s = max(1.0, min(LONGEST_HEALTH_S, 60 * minutes / 12))
        fleet = Fleet(directory, exchange.url, count, health_s=health_s)
        tell(f"  {count} nodes listen after {time.monotonic() - began:.0f} s")
        try:
            caught_up_s = _listen(fleet, exchange, 60 * minutes, load, tell)
            absent = absent_topics(exchange.port, fleet.names)
            heard = fleet.end()
        finally:
            fleet.kill()
        late = _deliver_rest(fleet, exchange)
        snapshots = {name: snapshot(fleet.state(name), name) for name in fleet.names}
        audits = _audits(snapshots, exchange)
        figures: Figures = {
            "nodes": count,
            "the broker was dead": f"{sum(back - killed for killed, back in exchange.outages):.0f} s",
            **total(audits).figures(),
            "chain whole": f"{sum(not one.wrong for one in snapshots.values())} of {count}",
            "back-fill done after": f"{caught_up_s:.1f} s",
            "back-filled": sum(receipt.backfilled for receipt in exchange.collector.receipts),
            "topics absent afterwards": f"{len(absent)} of {len(TOPICS) * count}",
            "processor of the fleet": _cpu_words(load.cpu_s, load.seconds, count),
            "processor of the broker": f"{100 * load.broker_cpu_s / load.seconds:.1f} % of a core",
            "memory": f"{load.rss_mb:.0f} MB of the fleet, {load.broker_rss_mb:.0f} MB of the broker",
            "seconds": round(time.monotonic() - began),
        }
    wrong = total(audits).wrong + [f"{name}: {one.wrong}" for name, one in snapshots.items() if one.wrong][:3]
    wrong += [f"{len(late)} nodes could not deliver all"] if late else []
    wrong += [f"{len(absent)} topics absent afterwards: {', '.join(absent[:3])}"] if absent else []
    wrong += unheard(snapshots, heard)
    return Finding(name="fleet", title=title, figures=figures, wrong=wrong)


def _listen(fleet: Fleet, exchange: Exchange, seconds: float, load: Load, tell: Tell) -> float:
    """The time with the broker, without it and with it again; how long after its return all had caught up."""
    start, dead_s = time.monotonic(), min(LONGEST_DEAD_S, seconds * DEAD_SHARE)
    watch(fleet, exchange, start + (seconds - dead_s) / 2, load, tell)
    exchange.kill(frozen_s=FROZEN_S)
    watch(fleet, exchange, time.monotonic() + dead_s, load, tell)
    exchange.start()
    back = time.monotonic()
    watch(fleet, exchange, start + seconds, load, tell)
    deadline = time.monotonic() + CAUGHT_UP_S
    while _behind(exchange.collector, fleet.names, back) and time.monotonic() < deadline:
        time.sleep(1.0)
    late = [receipt.at for receipt in list(exchange.collector.receipts) if receipt.backfilled and receipt.at > back]
    return max(late, default=back) - back


def _behind(collector: Collector, names: Sequence[str], back: float) -> int:
    """How many nodes have not said yet that no more than what has just ended waits for delivery."""
    waiting = dict.fromkeys(names, 99)
    for heard in list(collector.heard):
        if heard.kind == "health" and heard.at > back:
            waiting[heard.node] = heard.body["history"]["waiting"]
    return sum(count > 1 for count in waiting.values())


def absent_topics(port: int, names: Sequence[str]) -> list[str]:
    """What the broker does not hold of each node, though somebody who comes now must find it there."""
    newcomer = Collector()
    newcomer.connect(port)
    wanted = {(name, kind) for name in names for kind in TOPICS}
    missing, deadline = wanted, time.monotonic() + PRESENT_S
    while missing and time.monotonic() < deadline:
        time.sleep(0.5)
        missing = wanted - {(heard.node, heard.kind) for heard in list(newcomer.heard) if _holds(heard)}
    newcomer.drop(gone=False)
    return sorted(f"{kind} of {name}" for name, kind in missing)


def _holds(heard: Heard) -> bool:
    return heard.retain and (heard.kind not in ("status", "availability") or heard.payload == b"online")


def _deliver_rest(fleet: Fleet, exchange: Exchange) -> list[str]:
    """The nodes that, even given time, could not deliver what they still had at their end."""
    names = [name for name in fleet.names if snapshot(fleet.state(name), name).outbox]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = pool.map(lambda name: deliver_rest(fleet.state(name), name, exchange.url), names)
        return [name for name, delivered in zip(names, done, strict=True) if not delivered]


def _audits(snapshots: Mapping[str, Snapshot], exchange: Exchange) -> list[Audit]:
    receipts: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in exchange.collector.receipts:
        receipts[receipt.node].append(receipt)
    accepted: dict[str, set[int]] = defaultdict(set)
    for name, seq in exchange.gate.accepted():
        accepted[name].add(seq)
    return [audit(one.texts, receipts[name], accepted[name]) for name, one in snapshots.items()]


def unheard(snapshots: Mapping[str, Snapshot], heard: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Nodes whose records do not add up to what they heard, and those that did not say what they heard."""
    silent = [f"{name} ended without a word" for name in snapshots if name not in heard]
    for name, said in heard.items():
        records = map(json.loads, snapshots[name].texts.values())
        kept_s = sum(record["heard_s"] + record["lost_s"] for record in records)
        if abs(kept_s - said["heard_s"] - said["lost_s"]) > TO_THE_SECOND_S:
            silent.append(f"{name} heard {said['heard_s']:.1f} s, its records hold {kept_s:.1f} s")
    return silent[:3]


def _cpu_words(used_s: float, seconds: float, count: int) -> str:
    share = 100 * used_s / seconds
    return f"{share:.0f} % of a core, {share / count:.2f} % a node"


def _allow_descriptors() -> None:
    """The gate holds two connections for each node."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

"""Checks of the database after each kill of the daemon, and the sound that each kill has cost."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from genrewatch_drill.campaigns.killed_daemon import Lifetime
from genrewatch_drill.rig.snapshot import Snapshot


@dataclass(kw_only=True)
class KillChecks:
    """Counts over all kills."""

    whole: int = 0
    """Databases that could be opened and whose hash chain was whole."""
    broken: list[str] = field(default_factory=list)
    """The problems of the others."""
    vanished: int = 0
    """Records that were stored at an earlier kill, or received before this one, and are not stored any more."""
    unacknowledged: int = 0
    """Records that left the outbox without a PUBACK."""
    newest: Snapshot = field(default_factory=Snapshot)

    def add(self, now: Snapshot, received: Iterable[tuple[int, str]], acknowledged: set[int]) -> None:
        """Check the database after a kill; `received` holds the (seq, text) received before it."""
        if now.problem:
            self.broken.append(now.problem)
            return
        self.whole += 1
        self.vanished += now.changed_since(self.newest) + now.absent(received)
        self.unacknowledged += now.removed_unacknowledged(acknowledged)
        self.newest = now

    @property
    def problems(self) -> list[str]:
        """The broken promises."""
        found = [f"a database after a kill: {problem}" for problem in self.broken[:3]]
        found += [f"{self.vanished} records vanished"] if self.vanished else []
        return found + (
            [f"{self.unacknowledged} records left the outbox without a PUBACK"] if self.unacknowledged else []
        )


def losses_s(
    texts: Iterable[str], written_s: Mapping[tuple[str, int], float], lifetimes: list[Lifetime]
) -> dict[str, list[float]]:
    """Return, by source, the seconds written in each lifetime of the daemon that are in no record of it.

    `written_s` is by source and number of the lifetime. Records belong to a lifetime by the monotonic clock.
    """
    kept: dict[tuple[str, int], float] = defaultdict(float)
    for record in map(json.loads, texts):
        for number, lifetime in enumerate(lifetimes):
            if lifetime.started <= record["mono_start_s"] <= lifetime.ended:
                kept[record["source"], number] += record["heard_s"] + record["lost_s"]
                break
    found: dict[str, list[float]] = defaultdict(list)
    for (source, number), written in written_s.items():
        if written > 0:
            found[source].append(written - kept[source, number])
    return dict(found)

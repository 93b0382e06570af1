"""What must hold each time that the daemon was killed, and how much of what it heard a kill has cost."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from genrewatch_drill.campaigns.victim import Life
from genrewatch_drill.rig.snapshot import Snapshot


@dataclass(kw_only=True)
class KillChecks:
    """What was found, added up over the kills."""

    whole: int = 0
    """Databases that opened and whose chain was whole."""
    broken: list[str] = field(default_factory=list)
    """What was wrong with the others."""
    vanished: int = 0
    """Records that were there at an earlier kill, or that somebody had received by then, and are not there any more."""
    early: int = 0
    """Records that were struck from the outbox without a receipt."""
    newest: Snapshot = field(default_factory=Snapshot)

    def add(self, now: Snapshot, received: Iterable[tuple[int, str]], acknowledged: set[int]) -> None:
        """Looks at the database after a kill; `received` is what had been received before it."""
        if now.wrong:
            self.broken.append(now.wrong)
            return
        self.whole += 1
        self.vanished += now.against_earlier(self.newest) + now.against_received(received)
        self.early += now.struck_without_receipt(acknowledged)
        self.newest = now

    @property
    def wrong(self) -> list[str]:
        """What of this breaks the promise."""
        found = [f"a database after a kill: {why}" for why in self.broken[:3]]
        found += [f"{self.vanished} records vanished"] if self.vanished else []
        return found + ([f"{self.early} records struck without a receipt"] if self.early else [])


def losses_s(
    texts: Iterable[str], written_s: Mapping[tuple[str, int], float], lives: list[Life]
) -> dict[str, list[float]]:
    """By source, the sound that each life was fed and that is in no record of it, seconds.

    `written_s` is by source and number of the life. Records tell their life by the monotonic clock.
    """
    heard_s: dict[tuple[str, int], float] = defaultdict(float)
    for record in map(json.loads, texts):
        for number, life in enumerate(lives):
            if life.began <= record["mono_start_s"] <= life.ended:
                heard_s[record["source"], number] += record["heard_s"] + record["lost_s"]
                break
    found: dict[str, list[float]] = defaultdict(list)
    for (source, number), written in written_s.items():
        if written > 0:
            found[source].append(written - heard_s[source, number])
    return dict(found)

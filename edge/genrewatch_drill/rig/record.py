"""What a daemon has said, in order, whether it was said over MQTT or as JSON lines; one may wait for more."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["availability", "segment", "state", "health", "status"]
Test = Callable[[Mapping[str, Any]], bool]


class Unmet(Exception):
    """What a row of the drill asserts does not hold; its text says what was seen instead."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One thing that the daemon said."""

    at: float
    """When it was heard, on the monotonic clock."""
    kind: Kind
    """`availability` and `status` have the field `online`; `segment` and `state` those of the payload."""
    source: str
    """Id of the source; empty for the node."""
    body: Mapping[str, Any]


class Record:
    """Everything that was said so far; any thread may add and any thread may wait."""

    def __init__(self) -> None:
        self._said: list[Said] = []
        self._more = threading.Condition()

    def add(self, said: Said) -> None:
        """Takes down one more."""
        with self._more:
            self._said.append(said)
            self._more.notify_all()

    def of(self, source: str, kind: Kind, *, since: float = 0.0, until: float = float("inf")) -> list[Said]:
        """What was said of a source between two times, in order."""
        with self._more:
            said = list(self._said)
        return [s for s in said if s.source == source and s.kind == kind and since <= s.at <= until]

    def last_online(self) -> list[str]:
        """The sources, and `the node`, of which `online` was said last."""
        last: dict[str, bool] = {}
        with self._more:
            for said in self._said:
                if said.kind in ("availability", "status"):
                    last[said.source or "the node"] = said.body["online"]
        return [name for name, online in last.items() if online]

    def wait(
        self, source: str, kind: Kind, test: Test = lambda body: True, *, since: float = 0.0, within_s: float
    ) -> Said:
        """The first one since a time that passes the test; Unmet when none comes within the time."""
        deadline = time.monotonic() + within_s
        seen = 0
        with self._more:
            while True:
                for said in self._said[seen:]:
                    if said.source == source and said.kind == kind and said.at >= since and test(said.body):
                        return said
                seen = len(self._said)
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise Unmet(f"no such {kind} of {source or 'the node'} within {within_s:g} s")
                self._more.wait(left_s)

"""The daemon's reports to the service manager: ready, listening makes progress, and what is playing.

A daemon whose main loop or a source's thread is stuck reports no progress, and the service manager restarts it.
Silence, an absent source and an absent broker are no reason.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from genrewatch.daemon.sink_group import SinkGroup
from genrewatch.daemon.source_state import SourceState
from genrewatch.host.service_manager import ServiceManager

READY_AFTER_S = 30.0
"""Time after which the start counts as done, whatever has been tried."""
LOOK_S = 0.2
"""Time between two looks whether the start is done."""
MAX_SOURCES = 8
"""Sources in the status line."""


class ServiceReport:
    """Reports of one daemon; its methods are called in the main thread, `status` in any."""

    def __init__(
        self, manager: ServiceManager, states: Callable[[], Mapping[str, SourceState]], sinks: SinkGroup
    ) -> None:
        """`states` returns those of the present sources."""
        self._manager, self._states, self._sinks = manager, states, sinks
        self._ready, self._started_s = not manager.listens, time.monotonic()

    @property
    def interval_s(self) -> float:
        """Longest time until the next call of `tick`."""
        return LOOK_S if not self._ready else (self._manager.watchdog_s or math.inf) / 3

    def tick(self) -> None:
        """Report that the start is done, once something has been tried; and that listening makes progress."""
        if not self._ready and (self._tried() or time.monotonic() - self._started_s > READY_AFTER_S):
            self._ready = True
            self._manager.ready()
        if not any(state.thread and state.thread.stuck for state in self._states().values()):
            self._manager.alive()

    def status(self, health: Mapping[str, Any]) -> None:
        """Report what is playing, and what does not work."""
        if self._manager.listens:
            self._manager.status(status_text(self._states(), health))

    def stopping(self) -> None:
        """Report that the daemon ends."""
        self._manager.stopping()

    def _tried(self) -> bool:
        """Return whether a source and the broker have been tried, with or without success."""
        return any(state.tried for state in self._states().values()) and self._sinks.tried


def status_text(states: Mapping[str, SourceState], health: Mapping[str, Any]) -> str:
    """Return what each source plays, and the problems: `bar: rock, hall: no sound (stalled); no broker`."""
    playing = [f"{source_id}: {_playing(state)}" for source_id, state in list(states.items())[:MAX_SOURCES]]
    if len(states) > MAX_SOURCES:
        playing.append(f"{len(states) - MAX_SOURCES} more")
    problems = ["no broker"] if health.get("mqtt", {}).get("protocol", "none") is None else []
    return "; ".join([", ".join(playing), *problems, *health.get("degraded", [])])


def _playing(state: SourceState) -> str:
    if not state.online:
        return f"no sound ({state.offline_reason})" if state.offline_reason else "no sound yet"
    if state.newest is None:
        return "sound arrives"
    verdict = state.newest.verdict
    return verdict.genre or verdict.reason.replace("_", " ")

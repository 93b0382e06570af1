"""Conditions of a hook: which events it gets, and when.

    event -> of `on` and `sources`? -> lasted `min_duration_s`? -> in `hours`, not quiet, cooled down? -> worker

An event whose end (`stalled` -> `resumed`) arrives within `min_duration_s` is dropped with its end. Conditions are
checked when an event arrives and with each segment and heartbeat; nothing here waits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from genrewatch.host.local_hours import within_hours
from genrewatch.sinks.events import Event
from genrewatch.sinks.hooks.config import HookConfig

ENDS = {"dead_air": "sound_returned", "stalled": "resumed", "unexpected_genre": "expected_genre"}
"""The event that ends each other one."""
BEGINNINGS = {end: beginning for beginning, end in ENDS.items()}


@dataclass(frozen=True, kw_only=True)
class _Pending:
    event: Event
    body: bytes
    due: float
    """When `min_duration_s` is over, monotonic clock."""


class Conditions:
    """Decides which events a hook gets; the caller holds a lock."""

    def __init__(
        self,
        config: HookConfig,
        offer: Callable[[Event, bytes], None],
        *,
        quiet_hours: Mapping[str, Sequence[str]],
        local_time: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """`offer` gets the events; `quiet_hours` are those of each source."""
        self._config, self._offer, self.quiet_hours = config, offer, quiet_hours
        self._local_time, self._monotonic = local_time, monotonic
        self._pending: dict[tuple[str, str], _Pending] = {}
        self._ran: dict[tuple[str, str], float] = {}
        self._kept_back: set[tuple[str, str]] = set()  # beginnings that the hook did not get
        self.suppressed = 0
        """Events of `on` that the hook did not get."""

    def add(self, event: Event, body: bytes) -> None:
        """Pass an event on, now or once it has lasted, or drop it."""
        config, key = self._config, (event.source, event.type)
        if event.type == "test" and self._of_source(event):
            return self._offer(event, body)
        beginning = (event.source, BEGINNINGS.get(event.type, ""))
        if self._pending.pop(beginning, None):
            self._suppress(beginning)
        if event.type not in config.on or not self._of_source(event):
            return None
        if beginning in self._kept_back:
            self._kept_back.discard(beginning)
            self._suppress(key)
        elif config.min_duration_s and event.type not in BEGINNINGS:
            if self._pending.pop(key, None):  # a further change of genre
                self._suppress(key)
            due = self._monotonic() + config.min_duration_s
            self._pending[key] = _Pending(event=event, body=body, due=due)
        else:
            self._pass_on(event, body)
        return None

    def release(self) -> None:
        """Pass on what has lasted."""
        now = self._monotonic()
        for key in [key for key, pending in self._pending.items() if pending.due <= now]:
            pending = self._pending.pop(key)
            self._pass_on(pending.event, pending.body)

    def forget(self, source_id: str) -> None:
        """Drop what waits of a source that was switched off."""
        for key in [key for key in self._pending if key[0] == source_id]:
            del self._pending[key]
            self.suppressed += 1

    def _pass_on(self, event: Event, body: bytes) -> None:
        key, now = (event.source, event.type), self._monotonic()
        local, hours = self._local_time(), self._config.hours
        quiet = within_hours(self.quiet_hours.get(event.source, ()), local)
        cooling = key in self._ran and now - self._ran[key] < self._config.cooldown_s
        if quiet or cooling or (hours and not within_hours(hours, local)):
            return self._suppress(key)
        self._ran[key] = now
        self._kept_back.discard(key)
        return self._offer(event, body)

    def _suppress(self, key: tuple[str, str]) -> None:
        self.suppressed += 1
        if key[1] in ENDS:
            self._kept_back.add(key)

    def _of_source(self, event: Event) -> bool:
        return not self._config.sources or event.source in self._config.sources

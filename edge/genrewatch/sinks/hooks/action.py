"""What a hook does with an event, and how that went: the one thing that its command and its webhook have in common."""

from dataclasses import dataclass
from typing import Protocol

from genrewatch.sinks.events import Event

STOPPED = "not done when genrewatch ended"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How it went; `why` is None when it went well."""

    why: str | None = None
    again: bool = False
    """Whether the event reached nobody, so that trying again can tell nobody twice."""


class Action(Protocol):
    """A command or a webhook."""

    def run(self, event: Event, body: bytes) -> Outcome:
        """Does it, within its time limit; `body` is the event's payload."""

    def stop(self) -> None:
        """Makes `run` return soon, now and ever after; from any thread."""

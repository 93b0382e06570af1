"""The interface of a hook's command and webhook: run for an event, with an outcome."""

from dataclasses import dataclass
from typing import Protocol

from genrewatch.sinks.events import Event

STOPPED = "not done when genrewatch stopped"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of an attempt; `why` is None after success, else the reason of the failure."""

    why: str | None = None
    retry: bool = False
    """True if the event was certainly not delivered, so that a retry cannot deliver it twice."""


class Action(Protocol):
    """A command or a webhook."""

    def run(self, event: Event, body: bytes) -> Outcome:
        """Run within the time limit; `body` is the event's payload."""

    def stop(self) -> None:
        """Make this and every later `run` return soon; from any thread."""

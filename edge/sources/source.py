"""What every source of sound has in common."""

from collections.abc import Iterator
from typing import Protocol

from edge.pcm import Block


class SourceEvents(Protocol):
    """Who is told when a source comes and goes."""

    def source_online(self, source_id: str, why: str) -> None:
        """Sound arrives (again)."""

    def source_offline(self, source_id: str, why: str) -> None:
        """Sound has ceased to arrive, which is not silence; the source tries to come back."""


class Source(Protocol):
    """One source of sound."""

    id: str

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """Blocks until the source ends or `close` is called; SourceError when it cannot be opened."""

    def close(self) -> None:
        """Makes `blocks` end soon; may be called from another thread, and twice."""

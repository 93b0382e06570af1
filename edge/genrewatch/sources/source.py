"""What every source of sound has in common."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from genrewatch.audio.pcm import Block

LossCause = Literal["restart", "overflow", "queue"]
"""Why sound is missing: the source was away; its sound card overflowed; we were too slow."""


@dataclass(kw_only=True)
class SourceCounts:
    """What has happened to a source so far; written by the source alone, read by anybody."""

    restarts: int = 0
    """Times that it was started again."""
    lost_s: dict[LossCause, float] = field(default_factory=dict)
    """Seconds of sound lost, by cause."""

    def lose(self, cause: LossCause, seconds: float) -> None:
        """Counts lost sound."""
        self.lost_s[cause] = self.lost_s.get(cause, 0.0) + seconds


@dataclass(frozen=True, kw_only=True)
class NowPlaying:
    """What a station says of itself; None where it says nothing."""

    station: str | None = None
    title: str | None = None


class SourceEvents(Protocol):
    """Who is told when a source comes and goes."""

    def on_source_online(self, source_id: str, why: str) -> None:
        """Sound arrives (again)."""

    def on_source_offline(self, source_id: str, why: str) -> None:
        """Sound has ceased to arrive, which is not silence; the source tries to come back."""

    def on_source_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """A station has said what it is or what it plays."""


class Source(Protocol):
    """One source of sound."""

    id: str
    counts: SourceCounts

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """Blocks until the source ends or `close` is called; SourceError when it cannot be opened."""

    def waiting_s(self) -> float:
        """Seconds of sound that have arrived and wait to be classified; 0 for a source that waits for its reader."""

    def close(self) -> None:
        """Makes `blocks` end soon; may be called from another thread, and twice."""

"""The interface of every source, its counters and its events."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from genrewatch.audio.pcm import Block
from genrewatch.host.defects import DefectLog

LossCause = Literal["restart", "pause", "overflow", "queue"]
"""Why sound is missing: the source was offline; its writer paused; its sound card overflowed; we were too slow."""

NO_SOUND_YET = "no sound yet"
"""The reason of a source that has just been opened, until it has another."""


@dataclass(kw_only=True)
class SourceCounts:
    """Counters of one source; only the source writes them, any thread may read them."""

    restarts: int = 0
    """Number of restarts."""
    lost_s: dict[LossCause, float] = field(default_factory=dict)
    """Seconds of sound lost, by cause."""
    defects: DefectLog | None = None
    """Defects of genrewatch that this source goes on after."""

    def lose(self, cause: LossCause, seconds: float) -> None:
        """Count lost sound."""
        self.lost_s[cause] = self.lost_s.get(cause, 0.0) + seconds


@dataclass(frozen=True, kw_only=True)
class NowPlaying:
    """A station's name and the title that it plays; None for what it does not send."""

    station: str | None = None
    title: str | None = None


class SourceEvents(Protocol):
    """Callbacks of a source."""

    def on_source_online(self, source_id: str, why: str) -> None:
        """Notify that sound arrives (again)."""

    def on_source_offline(self, source_id: str, why: str) -> None:
        """Notify that no sound arrives, which is not silence; the source tries to restart."""

    def on_source_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """Notify of a new station name or title."""


class Source(Protocol):
    """One source of sound."""

    id: str
    counts: SourceCounts

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """Yield blocks until the source ends or `close` is called; SourceError when it cannot be opened."""

    def waiting_s(self) -> float:
        """Return the seconds of sound that wait to be classified; 0 for a source that waits for its reader."""

    def close(self) -> None:
        """Make `blocks` end soon; any thread may call it, and twice."""

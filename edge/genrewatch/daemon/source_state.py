"""What the daemon knows of one source: how much of it has been heard, what became of it, and who listens to it."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from genrewatch.audio.pcm import Block
from genrewatch.inference.json_fields import level_fields
from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.sources.source import Source


@dataclass(frozen=True, kw_only=True)
class SourceSetup:
    """A source and what listens to it."""

    source: Source
    pipeline: Pipeline
    name: str
    """For people."""
    reopen: Callable[[], Source] | None = None
    """Makes the same source anew after it was closed; None where that cannot be."""


@dataclass(kw_only=True)
class Heard:
    """One source, while the daemon runs."""

    source: Source
    pipeline: Pipeline
    """Of the next stream; the present one ends when it is exchanged."""
    reopen: Callable[[], Source] | None
    thread: threading.Thread | None = None
    online: bool = False
    off: bool = False
    """Whether somebody has switched it off."""
    segments: int = 0
    heard_s: float = 0.0
    lost_s: float = 0.0
    newest: SegmentResult | None = None
    offline_why: str | None = None
    """What was last said of it."""
    failed: bool = False
    ended: bool = False
    _before_s: tuple[float, float] = (0.0, 0.0)

    def counted(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The blocks, as they come, with what is there and what is missing between them added up."""
        for block in blocks:
            self.heard_s += len(block.samples) / block.sample_rate
            self.lost_s += block.lost / block.sample_rate
            yield block

    def begin_stream(self) -> Pipeline:
        """Counts from zero again; what listens to the stream that begins."""
        self._before_s = self.heard_s, self.lost_s
        return self.pipeline

    @property
    def of_stream_s(self) -> tuple[float, float]:
        """Seconds that have been heard and are missing since the stream began."""
        return self.heard_s - self._before_s[0], self.lost_s - self._before_s[1]

    def health(self) -> dict[str, Any]:
        """Diagnostics of this source."""
        counts = self.source.counts
        return {
            "online": self.online,
            "off": self.off,
            "why": self.offline_why,
            "segments": self.segments,
            "heard_s": round(self.heard_s, 3),
            "lost_s": round(self.lost_s, 3),
            "lost": {cause: round(seconds, 3) for cause, seconds in list(counts.lost_s.items())},
            "restarts": counts.restarts,
            "waiting_s": round(self.source.waiting_s(), 3),
            "hop_factor": self.newest.hop_factor if self.newest else 1,
            **(level_fields(self.newest) if self.newest and self.online else {}),
        }

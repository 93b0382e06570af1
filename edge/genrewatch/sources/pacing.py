"""Files and the demo programme at the speed at which they sound, or as fast as they can be read."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

from genrewatch.audio.pcm import Block
from genrewatch.sources.source import SourceCounts, SourceEvents
from genrewatch.sources.uri import Uri

Pace = Literal["real", "max"]


def pace(uri: Uri) -> Pace:
    """Return the value of the option `pace`, default `real`."""
    return "max" if uri.choice("pace", "real", "max") == "max" else "real"


class PacedSource:
    """Blocks from `open_blocks`, yielded in real time or at full speed."""

    def __init__(self, source_id: str, open_blocks: Callable[[], Iterator[Block]], *, pace: Pace) -> None:
        self.id, self.counts = source_id, SourceCounts()
        self._open_blocks, self._pace = open_blocks, pace
        self._closed = threading.Event()

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        start, sounded_s = time.monotonic(), 0.0
        for number, block in enumerate(self._open_blocks()):
            if number == 0:
                events.on_source_online(self.id, "opened")
            sounded_s += block.duration_s
            ahead_s = start + sounded_s - time.monotonic() if self._pace == "real" else 0.0
            if self._closed.wait(ahead_s) if ahead_s > 0 else self._closed.is_set():
                return
            yield block

    def waiting_s(self) -> float:
        """See `Source.waiting_s`."""
        return 0.0

    def close(self) -> None:
        """See `Source.close`."""
        self._closed.set()

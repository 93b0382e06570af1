"""Files and the demo programme, handed out as fast as they would sound, or as fast as they can be read."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

from genrewatch.audio.pcm import Block
from genrewatch.sources.source import SourceCounts, SourceEvents

Pace = Literal["real", "max"]


class PacedSource:
    """Blocks that are there at once, released in real time or at full speed."""

    def __init__(self, source_id: str, open_blocks: Callable[[], Iterator[Block]], *, pace: Pace) -> None:
        self.id = source_id
        self._open_blocks, self._pace = open_blocks, pace
        self._closed = threading.Event()
        self.counts = SourceCounts()

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        start, sounded_s = time.monotonic(), 0.0
        for number, block in enumerate(self._open_blocks()):
            if number == 0:
                events.on_source_online(self.id, "opened")
            sounded_s += len(block.samples) / block.sample_rate
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

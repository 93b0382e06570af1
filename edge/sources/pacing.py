"""Files and the demo programme, handed out as fast as they would sound, or as fast as they can be read."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

from edge.contract.errors import SourceError
from edge.pcm import Block, PcmFormat, pcm_blocks
from edge.process import PipeReader
from edge.sources.source import SourceEvents

Pace = Literal["real", "max"]


class PacedSource:
    """Blocks that are there at once, released in real time or at full speed."""

    def __init__(self, source_id: str, open_blocks: Callable[[], Iterator[Block]], *, pace: Pace) -> None:
        self.id = source_id
        self._open_blocks, self._pace = open_blocks, pace
        self._closed = threading.Event()

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        start, sounded_s = time.monotonic(), 0.0
        for number, block in enumerate(self._open_blocks()):
            if number == 0:
                events.source_online(self.id, "opened")
            sounded_s += len(block.samples) / block.sample_rate
            ahead_s = start + sounded_s - time.monotonic() if self._pace == "real" else 0.0
            if self._closed.wait(ahead_s) if ahead_s > 0 else self._closed.is_set():
                return
            yield block

    def close(self) -> None:
        """See `Source.close`."""
        self._closed.set()


class StdinSource:
    """PCM or WAV on standard input; whoever writes it sets the pace, and may pause, which is told from silence."""

    def __init__(self, source_id: str, pcm: PcmFormat | None, *, stall_s: float = 8.0) -> None:
        if sys.stdin is None:
            raise SourceError("stdin:", "standard input is closed", "a pipe or a file")
        self.id = source_id
        self._pcm, self._stall_s = pcm, stall_s
        self._reader = PipeReader(sys.stdin.fileno())
        self._online = False

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        return pcm_blocks(lambda n: self._read(n, events), self._pcm, where="stdin:")

    def close(self) -> None:
        """See `Source.close`."""
        self._reader.stop()

    def _read(self, n: int, events: SourceEvents) -> bytes:
        while not self._reader.wait(self._stall_s):
            self._online = False
            events.source_offline(self.id, f"no sound for {self._stall_s:g} s")
        data = self._reader.read(n)
        if data and not self._online:
            self._online = True
            events.source_online(self.id, "sound arrives")
        return data

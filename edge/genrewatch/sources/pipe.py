"""PCM or WAV that somebody else writes into a pipe: standard input, or a FIFO that outlives its writers.

The writer sets the pace and may pause, which is told from silence; the pipe itself is the queue, and it is bounded.
"""

import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from genrewatch.audio.pcm import Block, PcmFormat, pcm_blocks, until_break
from genrewatch.contract.errors import SourceError, os_error_reason
from genrewatch.host.pipe_reader import PipeReader
from genrewatch.sources.source import SourceCounts, SourceEvents

NO_WRITER = "no writer"
LOOK_AGAIN_S = 1.0  # for a FIFO that is not there


class _Pipe:
    """Reads a pipe, and says when sound comes and ceases to come."""

    def __init__(self, source_id: str, stall_s: float, events: SourceEvents, descriptor: int) -> None:
        self._id, self._stall_s, self._events = source_id, stall_s, events
        self.reader = PipeReader(descriptor)
        self._online = False

    def read(self, n: int) -> bytes:
        """1 to n bytes, however long it takes; none at the end or after `reader.stop`."""
        while not self.reader.wait(self._stall_s):
            self._online = False
            self._events.on_source_offline(self._id, f"no sound for {self._stall_s:g} s")
        data = self.reader.read(n)
        if data and not self._online:
            self._online = True
            self._events.on_source_online(self._id, "sound arrives")
        return data


class StdinSource:
    """Standard input, whose end is the end of the source."""

    def __init__(self, source_id: str, pcm: PcmFormat | None, *, stall_s: float) -> None:
        if sys.stdin is None:
            raise SourceError("stdin:", "standard input is closed", "a pipe or a file")
        self.id, self.counts = source_id, SourceCounts()
        self._pcm, self._stall_s = pcm, stall_s
        self._pipe: _Pipe | None = None
        self._closed = threading.Event()

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        self._pipe = _Pipe(self.id, self._stall_s, events, sys.stdin.fileno())
        if not self._closed.is_set():
            yield from pcm_blocks(self._pipe.read, self._pcm, where="stdin:")

    def waiting_s(self) -> float:
        """See `Source.waiting_s`."""
        return 0.0

    def close(self) -> None:
        """See `Source.close`."""
        self._closed.set()
        if self._pipe:
            self._pipe.reader.stop()


class FifoSource:
    """A FIFO (`mkfifo`): when its writer goes it is opened anew for the next one, and what was missed is counted."""

    def __init__(
        self, source_id: str, path: Path, pcm: PcmFormat | None, *, stall_s: float, patient: bool = False
    ) -> None:
        """Raises SourceError where there is no FIFO, unless it is `patient` and waits for one."""
        self.id, self.counts = source_id, SourceCounts()
        self._path, self._pcm, self._stall_s = path, pcm, stall_s
        self._pipe: _Pipe | None = None
        self._closed = threading.Event()
        self._last_sound: float | None = None  # on the monotonic clock
        if not patient:
            self._check()

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        while not self._closed.is_set():
            try:
                self._check()
                yield from self._one_writer(events)
                why = NO_WRITER
            except SourceError as exc:
                why = str(exc)
                self._closed.wait(LOOK_AGAIN_S)
            if not self._closed.is_set():
                events.on_source_offline(self.id, why)
                self.counts.restarts += 1

    def waiting_s(self) -> float:
        """See `Source.waiting_s`."""
        return 0.0

    def close(self) -> None:
        """See `Source.close`."""
        self._closed.set()
        if self._pipe:
            self._pipe.reader.stop()

    def _check(self) -> None:
        try:
            found = None if stat.S_ISFIFO(self._path.stat().st_mode) else "not a FIFO"
        except OSError as exc:
            found = os_error_reason(exc)
        if found:
            raise SourceError(f"fifo:{self._path}", found, "a FIFO (mkfifo makes one)")

    def _one_writer(self, events: SourceEvents) -> Iterator[Block]:
        """Blocks until every writer has gone; opening does not wait for one."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as exc:
            raise SourceError(f"fifo:{self._path}", os_error_reason(exc)) from None
        pipe = self._pipe = _Pipe(self.id, self._stall_s, events, descriptor)
        first = True
        try:
            if self._closed.is_set():
                return
            for block in until_break(pcm_blocks(pipe.read, self._pcm, where=f"fifo:{self._path}")):
                yield replace(block, lost=self._missed(block)) if first else block
                first = False
                if not block.last:
                    self._last_sound = time.monotonic()
        finally:
            self._pipe = None
            pipe.reader.close()
            os.close(descriptor)

    def _missed(self, block: Block) -> int:
        """Samples that passed between two writers."""
        if self._last_sound is None:
            return 0
        seconds = max(0.0, time.monotonic() - self._last_sound - len(block.samples) / block.sample_rate)
        self.counts.lose("restart", seconds)
        return round(seconds * block.sample_rate)

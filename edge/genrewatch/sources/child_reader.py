"""A thread that reads the sound of one child process into a bounded queue."""

import threading
from collections.abc import Iterator
from dataclasses import replace

from genrewatch.audio.pcm import READ_BYTES, Block, PcmFormat, pcm_blocks
from genrewatch.contract.errors import SourceError
from genrewatch.host.process import ChildProcess
from genrewatch.sources.block_queue import BlockQueue, PipeEnd
from genrewatch.sources.source import SourceCounts
from genrewatch.sources.stderr import StderrParser
from genrewatch.sources.supervision import Supervision

GATHER_S = 0.2
EXIT_WAIT_S = 1.0  # for a child that has closed its pipe to exit


class ChildReader:
    """Owns a child from its first byte to its end."""

    def __init__(
        self,
        child: ChildProcess,
        pcm: PcmFormat | None,
        supervision: Supervision,
        counts: SourceCounts,
        stderr: StderrParser,
        *,
        name: str,
    ) -> None:
        """`name` is the program's, for errors; `counts` receives what is lost."""
        self._child, self._stall_s, self._stderr, self._counts = child, supervision.stall_s, stderr, counts
        self._channel = supervision.channel
        self._queue = BlockQueue(supervision.queue_s, counts if supervision.restart else None)
        self.queued_s = self._queue.queued_s
        self._pipe_ended = False
        self._error: str | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(name, pcm), daemon=True)
        self._thread.start()

    def blocks(self) -> Iterator[Block]:
        """Yield blocks until the pipe ends, cannot be read, or has been without a byte for `stall_s` seconds."""
        while isinstance(item := self._queue.get(self._stall_s), Block):
            yield item
        self._pipe_ended = item is not None
        self._error = item.error if item else f"no sound for {self._stall_s:g} s"

    def end_reason(self) -> str:
        """Return why `blocks` ended: by the child's standard error, by what its bytes were, or by a stall."""
        code = self._child.wait(EXIT_WAIT_S) if self._pipe_ended else None
        if code is not None:
            self._child.wait_drained()
        explained = None if code is None else self._stderr.reason(code)
        return explained or self._error or "ended"

    def close(self) -> None:
        """End the child and the thread."""
        self._closing.set()
        self._child.end()
        self._queue.close()
        self._thread.join()
        self._child.close()

    def _read(self, name: str, pcm: PcmFormat | None) -> None:
        try:
            for block in pcm_blocks(self._gather, pcm, where=name, channel=self._channel):
                lost = block.lost + round(self._stderr.take_lost_s() * block.sample_rate)
                if lost:
                    self._counts.lose("overflow", lost / block.sample_rate)
                self._queue.put(replace(block, lost=lost))
            self._queue.put(PipeEnd())
        except SourceError as exc:
            self._queue.put(PipeEnd(error=str(exc)))

    def _gather(self, n: int) -> bytes:
        """Read 1 to n bytes. After few of them wait a moment: each wake-up costs more than the sound it brings."""
        data = self._child.stdout.read(n)
        if n >= READ_BYTES and 0 < len(data) < n // 4:
            self._closing.wait(GATHER_S)
        return data

"""A thread that reads the sound of one child process into a bounded queue."""

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from genrewatch.audio.pcm import READ_BYTES, Block, PcmFormat, pcm_blocks
from genrewatch.contract.errors import SourceError
from genrewatch.host.defects import defect_reason
from genrewatch.host.guarded_thread import GuardedThread
from genrewatch.host.process import ChildProcess
from genrewatch.host.times import elapsed_s
from genrewatch.sources.block_queue import BlockQueue, PipeEnd
from genrewatch.sources.settling import read_settled
from genrewatch.sources.sound_clock import SoundClock
from genrewatch.sources.source import SourceCounts
from genrewatch.sources.stderr import StderrParser
from genrewatch.sources.supervision import Supervision

GATHER_S = 0.2
GATHER_BYTES = 16_384
FIRST_S = 0.1  # of sound: less is not online
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
        reports_lost: bool = False,
    ) -> None:
        """`name` is the program's, for errors; `counts` receives what is lost; `reports_lost`: see `SoundClock`.

        Raises OSError when no thread can be started; the child is ended then.
        """
        self._child, self._supervision, self._stderr, self._counts = child, supervision, stderr, counts
        self._clock = SoundClock(reports_lost=reports_lost)
        self._queue = BlockQueue(supervision.queue_s, counts if supervision.restart else None)
        self.queued_s = self._queue.queued_s
        self._pipe_ended = False
        self._error: str | None = None
        self._closing = threading.Event()
        self._thread = GuardedThread(f"sound of {name}", partial(self._read, name, pcm))
        try:
            self._thread.start()
        except OSError:
            self._child.end(term_wait_s=0.0)
            self._child.close()
            raise

    def blocks(self) -> Iterator[Block]:
        """Yield blocks until the pipe ends, cannot be read, is without a byte for `stall_s` seconds, or too slow."""
        first, item = self._first_blocks()
        yield from first
        stall_s, reason = self._supervision.stall_s, None
        while first and not reason and isinstance(item := self._queue.get(stall_s), Block):
            yield item
            reason = self._too_slow()
        self._pipe_ended = isinstance(item, PipeEnd)
        self._error = item.error if isinstance(item, PipeEnd) else reason or self._silent(after_sound=bool(first))

    def _first_blocks(self) -> tuple[list[Block], Block | PipeEnd | None]:
        """Wait for `FIRST_S` seconds of sound; return it and the last item, no sound when it does not come in time."""
        found, limit_s = list[Block](), self._supervision.first_sound_limit_s
        deadline = time.monotonic() + limit_s
        while sum(block.duration_s for block in found) < FIRST_S:
            item = self._queue.get(None if math.isinf(limit_s) else max(0.0, deadline - time.monotonic()))
            if not isinstance(item, Block):
                return (found if item else []), item
            found.append(item)
        return found, found[-1]

    def _silent(self, *, after_sound: bool) -> str:
        if after_sound:
            return f"no sound for {self._supervision.stall_s:g} s"
        return f"no sound within {self._supervision.first_sound_limit_s:g} s of its start (first_sound_s)"

    def _too_slow(self) -> str | None:
        """Return a reason to end a child that is restarted and whose sound falls short of real time for long."""
        limit_s = self._supervision.lacking_limit_s
        if self._supervision.restart and self._clock.lacking_s > limit_s:
            return f"too slow, {limit_s:g} s of sound are missing"
        return None

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
        waited_s = 0.0  # for room in the queue
        try:
            for block in pcm_blocks(self._gather, pcm, where=name, channel=self._supervision.channel):
                arrived = elapsed_s()
                self._queue.put(self._with_lost(block, waited_s))
                waited_s = elapsed_s() - arrived if not self._supervision.restart else 0.0
            self._queue.put(PipeEnd())
        except SourceError as exc:
            self._queue.put(PipeEnd(error=str(exc)))
        except Exception as exc:  # a defect: the child is ended and restarted
            (self._counts.defects or self._thread.defects).add(exc)
            self._queue.put(PipeEnd(error=defect_reason(type(exc).__name__)))

    def _with_lost(self, block: Block, waited_s: float) -> Block:
        """Add to a block what was lost before it, by the child's own report and by the clock."""
        reported = block.lost + round(self._stderr.take_lost_s() * block.sample_rate)
        paused_s = self._clock.arrive(block.duration_s, excused_s=waited_s)
        if reported:
            self._counts.lose("overflow", reported / block.sample_rate)
        if paused_s:
            self._counts.lose("pause", paused_s)
        return replace(block, lost=reported + round(paused_s * block.sample_rate))

    def _gather(self, n: int) -> bytes:
        """Read 1 to n bytes. After few of them wait a moment: each wake-up costs more than the sound it brings."""
        data = read_settled(self._child.stdout, n)
        if n >= READ_BYTES and 0 < len(data) < GATHER_BYTES:
            self._closing.wait(GATHER_S)
        return data

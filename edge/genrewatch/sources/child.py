"""The supervisor of a child process that writes PCM: one that ends or stalls is restarted with backoff.

A wedged sound library, a hung stream or a crashed decoder can neither stop nor corrupt another source. Bytes that
arrive are the sign of life; silence is bytes too.
"""

import random
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

from genrewatch.audio.pcm import Block, PcmFormat, until_break
from genrewatch.contract.errors import SourceError, os_error_reason
from genrewatch.host.defects import DefectLog
from genrewatch.host.limits import CHILD_ADDRESS_SPACE, ChildLimits, require_free_descriptors
from genrewatch.host.process import ChildProcess
from genrewatch.host.times import elapsed_s
from genrewatch.sources.child_reader import ChildReader
from genrewatch.sources.source import NowPlaying, SourceCounts, SourceEvents
from genrewatch.sources.stderr import LastLine, StderrParser
from genrewatch.sources.supervision import Supervision


class ChildSource:
    """A live source: a command that writes WAV, packets or raw PCM to its standard output."""

    def __init__(
        self,
        source_id: str,
        command: Sequence[str],
        pcm: PcmFormat | None,
        supervision: Supervision,
        *,
        where: str | None = None,
        stdin: Callable[[int], bytes] = lambda restarts: b"",
        stderr: Callable[[], StderrParser] = LastLine,
        another_way: Callable[[], bool] = lambda: False,
        reports_lost: bool = False,
        address_space: int = CHILD_ADDRESS_SPACE,
    ) -> None:
        """`where` names the source in an error, default its id. `stdin` returns what the next child reads, given the
        number of restarts so far. `stderr` makes the parser of one child's standard error. `another_way` returns
        whether the next child would try what the last one did not, so that a start that failed is repeated. With
        `reports_lost` the child itself reports what it loses. `address_space` is its limit in bytes."""
        self.id, self._defects = source_id, DefectLog(source_id)
        self.counts = SourceCounts(defects=self._defects)
        self._command, self._pcm, self._supervision = list(command), pcm, supervision
        self._where, self._stdin, self._stderr = where or source_id, stdin, stderr
        self._another_way = another_way
        self._reports_lost, self._address_space = reports_lost, address_space
        self._rng = random.Random()
        self._closed = threading.Event()
        self._child: ChildProcess | None = None
        self._reader: ChildReader | None = None
        self._playing: NowPlaying | None = None  # as last reported
        self._last_sound: float | None = None  # by `elapsed_s`
        self._sounded_s = 0.0  # by the present child

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        failures = 0
        while not self._closed.is_set():
            self._sounded_s = 0.0
            reason = yield from self._run_child(events)
            if not self._will_restart():
                if self._last_sound is None and not self._closed.is_set():
                    raise SourceError(self._where, reason)
                return
            failures = 1 if self._sounded_s > self._supervision.steady_s else failures + 1
            self.counts.restarts += 1
            self._closed.wait(self._pause_s(failures))

    def waiting_s(self) -> float:
        """See `Source.waiting_s`."""
        return self._reader.queued_s() if self._reader else 0.0

    def close(self) -> None:
        """See `Source.close`."""
        self._closed.set()
        if self._child:
            self._child.end()

    def _run_child(self, events: SourceEvents) -> Generator[Block, None, str]:
        """Yield the blocks of one child from its start to its end; return why it ended, also reported to `events`."""
        self._playing = None  # sinks forget it during an outage
        try:
            stderr = self._stderr()
            reader = self._reader = self._start(stderr)
        except OSError as exc:
            reason = f"{self._command[0]}: {os_error_reason(exc)}, expected a program that can run"
            self._report_end(reason, events)
            return reason
        try:
            for number, block in enumerate(until_break(reader.blocks())):
                if number == 0:
                    events.on_source_online(self.id, "sound arrives")
                    block = replace(block, lost=block.lost + self._missed(block.sample_rate))
                self._account(block)
                self._report_playing(stderr.now_playing(), events)
                yield block
        finally:
            reason = reader.end_reason()
            self._report_end(reason, events)  # before the child is ended, which can take a while
            reader.close()
        return reason

    def _start(self, stderr: StderrParser) -> ChildReader:
        """Start the child and the thread that reads it; OSError when that fails."""
        require_free_descriptors()
        task = self._stdin(self.counts.restarts)

        def feed(line: bytes) -> None:
            with self._defects.guarded():
                stderr.feed(line)

        child = ChildProcess(
            self._command, stdin=task, on_line=feed, limits=ChildLimits(address_space=self._address_space)
        )
        self._child = child
        if self._closed.is_set():  # `close` came before there was this child to end
            child.end()
        name, lost = self._command[0], self._reports_lost
        return ChildReader(child, self._pcm, self._supervision, self.counts, stderr, name=name, reports_lost=lost)

    def _account(self, block: Block) -> None:
        if not block.last:
            self._last_sound = elapsed_s()
        self._sounded_s += block.duration_s

    def _report_playing(self, playing: NowPlaying | None, events: SourceEvents) -> None:
        if playing and playing != self._playing:
            self._playing = playing
            events.on_source_now_playing(self.id, playing)

    def _report_end(self, reason: str, events: SourceEvents) -> None:
        if self._will_restart():
            events.on_source_offline(self.id, reason)

    def _will_restart(self) -> bool:
        """Return whether a child that ends now is started again."""
        if self._closed.is_set():
            return False
        if self._last_sound is None and self._another_way():
            return True
        started = self._last_sound is not None or self._supervision.retry_start
        return self._supervision.restart and started

    def _missed(self, sample_rate: int) -> int:
        """Return, and count, the samples that passed between two children."""
        if self._last_sound is None:
            return 0
        seconds = elapsed_s() - self._last_sound
        self.counts.lose("restart", seconds)
        return round(seconds * sample_rate)

    def _pause_s(self, failures: int) -> float:
        return self._supervision.backoff.delay_s(failures, self._rng)

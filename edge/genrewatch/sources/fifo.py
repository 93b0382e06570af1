"""`fifo:PATH`: WAV or raw PCM that other programs write to a FIFO (`mkfifo`), which outlives its writers."""

import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from genrewatch.audio.mix import Channel
from genrewatch.audio.pcm import Block, PcmFormat, pcm_blocks, until_break
from genrewatch.contract.errors import SourceError, os_error_reason
from genrewatch.host.fifo_readers import other_reader
from genrewatch.host.hidden_paths import require_visible
from genrewatch.host.paths import expand_home
from genrewatch.host.times import elapsed_s
from genrewatch.host.untrusted_text import one_line
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.pipe import Pipe, with_pauses
from genrewatch.sources.source import Source, SourceCounts, SourceEvents
from genrewatch.sources.uri import PCM_KEYS, Uri

NO_WRITER = "no writer"
RETRY_S = 1.0  # for a FIFO that is not there
FIRST_LOOK_S, LOOK_S = 2.0, 30.0
"""Seconds of a writer's sound before another reader is looked for, and between later looks: snapserver opens its FIFO
only once there is a writer."""


class FifoSource:
    """A FIFO: when its writer closes it, it is reopened for the next one, and what was missed is counted."""

    def __init__(
        self,
        source_id: str,
        path: Path,
        pcm: PcmFormat | None,
        *,
        stall_s: float,
        retry_start: bool = False,
        channel: Channel = "auto",
    ) -> None:
        """Without `retry_start`, SourceError where there is no FIFO; with it, `blocks` waits for one."""
        self.id, self.counts = source_id, SourceCounts()
        self._path, self._pcm, self._stall_s, self._channel = path, pcm, stall_s, channel
        self._pipe: Pipe | None = None
        self._closed = threading.Event()
        self._last_sound: float | None = None  # by `elapsed_s`
        if not retry_start:
            self._check()

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        while not self._closed.is_set():
            try:
                self._check()
                yield from self._read_writers(events)
                reason = NO_WRITER
            except SourceError as exc:
                reason = str(exc)
                self._closed.wait(RETRY_S)
            if not self._closed.is_set():
                events.on_source_offline(self.id, reason)
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
        self._check_readers()

    def _check_readers(self) -> None:
        if reader := other_reader(self._path):
            raise SourceError(f"fifo:{self._path}", f"{one_line(reader)} reads it already", "a FIFO without a reader")

    def _read_writers(self, events: SourceEvents) -> Iterator[Block]:
        """Yield blocks until every writer has closed the FIFO; opening does not wait for one."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as exc:
            raise SourceError(f"fifo:{self._path}", os_error_reason(exc)) from None
        pipe = self._pipe = Pipe(self.id, self._stall_s, events, descriptor)
        first = True
        try:
            if self._closed.is_set():
                return
            found = pcm_blocks(pipe.read, self._pcm, where=f"fifo:{self._path}", channel=self._channel)
            for block in until_break(self._watched(with_pauses(found, self.counts))):
                yield replace(block, lost=self._missed(block)) if first else block
                first = False
                if not block.last:
                    self._last_sound = elapsed_s()
        finally:
            self._pipe = None
            pipe.reader.close()
            os.close(descriptor)

    def _watched(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Yield the same blocks; SourceError once another program reads the FIFO, too."""
        sounded_s, look_s = 0.0, FIRST_LOOK_S
        for block in blocks:
            yield block
            sounded_s += block.duration_s
            if sounded_s >= look_s:
                look_s = sounded_s + LOOK_S
                self._check_readers()

    def _missed(self, block: Block) -> int:
        """Return, and count, the samples that passed between two writers."""
        if self._last_sound is None:
            return 0
        seconds = max(0.0, elapsed_s() - self._last_sound - block.duration_s)
        self.counts.lose("restart", seconds)
        return round(seconds * block.sample_rate)


def _open(uri: Uri, opening: Opening) -> Source:
    if not uri.target:
        raise SourceError(uri.text, "no path", "fifo:PATH")
    path, limits = expand_home(uri.target), opening.supervision
    require_visible(path, uri.text)
    return FifoSource(
        opening.id,
        path,
        uri.pcm(),
        stall_s=limits.stall_s,
        retry_start=limits.retry_start,
        channel=limits.channel,
    )


FIFO = Kind(form="fifo:PATH", options=PCM_KEYS, open=_open)

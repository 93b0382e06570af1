"""`stdin:`: WAV or raw PCM on standard input, whose end is the end of the source."""

import os
import stat
import sys
import threading
from collections.abc import Iterator

from genrewatch.audio.mix import Channel
from genrewatch.audio.pcm import Block, PcmFormat, pcm_blocks
from genrewatch.contract.errors import SourceError
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.pipe import Pipe, with_pauses
from genrewatch.sources.source import Source, SourceCounts, SourceEvents
from genrewatch.sources.uri import PCM_KEYS, Uri


class StdinSource:
    """Standard input; its writer sets the pace and may pause."""

    def __init__(self, source_id: str, pcm: PcmFormat | None, *, stall_s: float, channel: Channel = "auto") -> None:
        if sys.stdin is None:
            raise SourceError("stdin:", "standard input is closed", "a pipe or a file")
        self.id, self.counts = source_id, SourceCounts()
        self._pcm, self._stall_s, self._channel = pcm, stall_s, channel
        self._pipe: Pipe | None = None
        self._closed = threading.Event()

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        self._pipe = Pipe(self.id, self._stall_s, events, sys.stdin.fileno())
        if not self._closed.is_set():
            found = pcm_blocks(self._pipe.read, self._pcm, where="stdin:", channel=self._channel)
            is_file = stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)
            yield from found if is_file else with_pauses(found, self.counts)

    def waiting_s(self) -> float:
        """See `Source.waiting_s`."""
        return 0.0

    def close(self) -> None:
        """See `Source.close`."""
        self._closed.set()
        if self._pipe:
            self._pipe.reader.stop()


def _open(uri: Uri, opening: Opening) -> Source:
    return StdinSource(opening.id, uri.pcm(), stall_s=opening.supervision.stall_s, channel=opening.supervision.channel)


STDIN = Kind(form="stdin:", options=PCM_KEYS, open=_open)

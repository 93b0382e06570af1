"""A pipe that another program writes to, with notice of a stall. The pipe itself is the bounded queue."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from genrewatch.audio.pcm import Block
from genrewatch.host.pipe_reader import PipeReader
from genrewatch.host.times import elapsed_s
from genrewatch.sources.settling import settle
from genrewatch.sources.sound_clock import PAUSE_S, SoundClock
from genrewatch.sources.source import SourceCounts, SourceEvents

BUSY_S = 5.0
"""A block is classified in less time; the process was stopped where it took longer."""


class Pipe:
    """Reads a pipe and notifies `events` when sound arrives and when it stalls."""

    def __init__(self, source_id: str, stall_s: float, events: SourceEvents, descriptor: int) -> None:
        self._id, self._stall_s, self._events = source_id, stall_s, events
        self.reader = PipeReader(descriptor)
        self._online = False

    def read(self, n: int) -> bytes:
        """Return 1 to n bytes, however long it takes; none at the end or after `reader.stop`."""
        began = elapsed_s()
        while not self.reader.wait(self._stall_s):
            self._online = False
            self._events.on_source_offline(self._id, f"no sound for {self._stall_s:g} s")
        data = self.reader.read(n)
        if data and not self._online:
            self._online = True
            self._events.on_source_online(self._id, "sound arrives")
        return settle(self.reader, data, n) if data and elapsed_s() - began > PAUSE_S else data


def with_pauses(blocks: Iterable[Block], counts: SourceCounts) -> Iterator[Block]:
    """Yield the same blocks with the time that passed without sound counted as lost."""
    clock, busy_s = SoundClock(), 0.0
    for block in blocks:
        paused_s = clock.arrive(block.duration_s, excused_s=busy_s if busy_s < BUSY_S else 0.0)
        if paused_s:
            counts.lose("pause", paused_s)
            block = replace(block, lost=block.lost + round(paused_s * block.sample_rate))
        arrived = elapsed_s()
        yield block
        busy_s = elapsed_s() - arrived

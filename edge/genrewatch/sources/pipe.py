"""A pipe that another program writes to, with notice of a stall. The pipe itself is the bounded queue."""

from genrewatch.host.pipe_reader import PipeReader
from genrewatch.sources.source import SourceEvents


class Pipe:
    """Reads a pipe and notifies `events` when sound arrives and when it stalls."""

    def __init__(self, source_id: str, stall_s: float, events: SourceEvents, descriptor: int) -> None:
        self._id, self._stall_s, self._events = source_id, stall_s, events
        self.reader = PipeReader(descriptor)
        self._online = False

    def read(self, n: int) -> bytes:
        """Return 1 to n bytes, however long it takes; none at the end or after `reader.stop`."""
        while not self.reader.wait(self._stall_s):
            self._online = False
            self._events.on_source_offline(self._id, f"no sound for {self._stall_s:g} s")
        data = self.reader.read(n)
        if data and not self._online:
            self._online = True
            self._events.on_source_online(self._id, "sound arrives")
        return data

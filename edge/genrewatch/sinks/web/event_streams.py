"""Server-Sent Events: a bounded queue for each viewer, so that a slow one costs the others nothing.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

HEARTBEAT_S = 15.0
"""Seconds between comments on a stream without events, so that proxies keep it open."""
LOOK_S = 1.0
"""Seconds between checks for a viewer that has disconnected."""
RETRY_MS = 2000
"""Pause before a browser reconnects."""
MAX_QUEUED_BYTES = 1_000_000
"""Bytes that may wait for one viewer; one that is slower is dropped and connects again."""


class Viewer:
    """The queue of one connection."""

    def __init__(self) -> None:
        self._chunks, self._bytes, self.dropped = deque[bytes](), 0, False
        self._changed = threading.Condition()

    def put(self, chunk: bytes) -> None:
        """Queue a chunk, or drop the viewer."""
        with self._changed:
            if self._bytes + len(chunk) > MAX_QUEUED_BYTES:
                self.drop()
                return
            self._chunks.append(chunk)
            self._bytes += len(chunk)
            self._changed.notify()

    def drop(self) -> None:
        """End the stream of this viewer."""
        with self._changed:
            self.dropped = True
            self._chunks.clear()
            self._changed.notify()

    def take(self, timeout_s: float) -> bytes:
        """Return all that waits, b"" if nothing comes within `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._chunks) or self.dropped, timeout_s)
            waiting, self._bytes = b"".join(self._chunks), 0
            self._chunks.clear()
            return waiting


class EventStreams:
    """All viewers, at most `limit`; any thread may call any method."""

    def __init__(self, limit: int) -> None:
        self._limit, self._viewers, self._closed = limit, set[Viewer](), False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of viewers."""
        return len(self._viewers)

    def reconnect(self) -> None:
        """End all streams; the viewers connect again and ask for everything."""
        with self._lock:
            for viewer in self._viewers:
                viewer.drop()

    def publish(self, name: str, payload: bytes) -> None:
        """Send an event, JSON on one line, to every viewer."""
        if not self._viewers:  # the usual case costs no lock
            return
        chunk = b"event: " + name.encode() + b"\ndata: " + payload + b"\n\n"
        with self._lock:
            for viewer in self._viewers:
                viewer.put(chunk)

    def open(self) -> Viewer | None:
        """Return a new viewer; None while there are too many."""
        with self._lock:
            if self._closed or len(self._viewers) >= self._limit:
                return None
            viewer = Viewer()
            self._viewers.add(viewer)
            return viewer

    def chunks(self, viewer: Viewer, disconnected: Callable[[], bool]) -> Iterator[bytes]:
        """Yield what a viewer is sent, until it disconnects, is dropped or the streams are closed."""
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            sent = time.monotonic()
            while not viewer.dropped and not disconnected():
                if waiting := viewer.take(LOOK_S):
                    yield waiting
                elif time.monotonic() - sent >= HEARTBEAT_S:
                    yield b": heartbeat\n\n"
                else:
                    continue
                sent = time.monotonic()
        finally:
            self.discard(viewer)

    def discard(self, viewer: Viewer) -> None:
        """Remove a viewer that has gone."""
        with self._lock:
            self._viewers.discard(viewer)

    def close(self) -> None:
        """End all streams, and accept no new viewer."""
        with self._lock:
            self._closed = True
            for viewer in self._viewers:
                viewer.drop()

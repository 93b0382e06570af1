"""An HTTP server that plays MP3 in real time and then misbehaves as it is told, a visit at a time.

Each path has a list of visits; each request takes the next, the last one is given again and again. A visit is words as
for the player: `play`, `play=SECONDS`, `use=FILE`, `noise=SECONDS`, `stall`, `close` and `404`.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

CHUNK_S = 0.1
GREETING_S = 1.0  # sent at once, as a station does
OK = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nicy-name: The Drill\r\n\r\n"
NOT_FOUND = b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"

Tell = Callable[[str, str], None]
"""Is told a path and what has happened there, when it happens."""


class BadServer:
    """Listens on a free loopback port until it is closed."""

    def __init__(self, visits: Mapping[str, Sequence[str]], sound: Path, bytes_per_s: int, tell: Tell) -> None:
        """`sound` is an MP3 of constant bit rate; `visits` has a list for each path."""
        self._visits, self._sound, self._bytes_per_s, self._tell = visits, sound, bytes_per_s, tell
        self._count = dict.fromkeys(visits, 0)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, path: str) -> str:
        """Where a path is heard."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def close(self) -> None:
        """Hangs up on everybody."""
        self._closed.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=self._answer, args=(self._socket.accept()[0],), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError):  # the visitor has gone
            path = client.recv(65_536).split(b" ")[1].decode().lstrip("/")
            with self._lock:
                visits = self._visits[path]
                visit = visits[min(self._count[path], len(visits) - 1)]
                self._count[path] += 1
            Visit(client, self._sound.read_bytes(), self._bytes_per_s, self._closed).take(
                visit, lambda what: self._tell(path, what)
            )


class Visit:
    """One connection."""

    def __init__(self, client: socket.socket, sound: bytes, bytes_per_s: int, closed: threading.Event) -> None:
        self._client, self._sound, self._bytes_per_s, self._closed = client, sound, bytes_per_s, closed
        self._at, self._ahead_s = 0, GREETING_S

    def take(self, visit: str, tell: Callable[[str], None]) -> None:
        """Follows the words to the end; OSError when the visitor leaves."""
        if visit == "404":
            tell("404")
            self._client.sendall(NOT_FOUND)
            return
        self._client.sendall(OK)
        tell("sound")
        for word in visit.split():
            name, _, value = word.partition("=")
            if name in ("play", "noise"):
                self._play(float(value) if value else float("inf"), noise=name == "noise")
                continue
            tell(name)
            if name == "use":
                self._sound, self._at = Path(value).read_bytes(), 0
            elif name == "stall":
                self._closed.wait()

    def _play(self, seconds: float, *, noise: bool) -> None:
        start, done_s = time.monotonic(), 0.0
        while done_s < seconds and not self._closed.is_set():
            self._closed.wait(max(0.0, start + done_s - self._ahead_s - time.monotonic()))
            n = round(self._bytes_per_s * CHUNK_S)
            self._client.sendall(os.urandom(n) if noise else self._next(n))
            done_s += CHUNK_S

    def _next(self, n: int) -> bytes:
        piece = self._sound[self._at : self._at + n]
        self._at = (self._at + n) % len(self._sound)
        return piece

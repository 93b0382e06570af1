"""An HTTP server that plays MP3 in real time and then misbehaves, following a script.

Each path has a list of scripts; each request gets the next one, and the last one is repeated. A script is a series of
steps: `play`, `play=SECONDS`, `use=FILE`, `noise=SECONDS`, `pause=SECONDS`, `stall`, `close` and `404`; or the bytes of
a whole answer, such as a redirect or a playlist.
"""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

CHUNK_S = 0.1
MID_FRAME = 1000
"""Bytes of MP3 that a listener has missed."""
BURST_S = 1.0
"""Sound sent at once to a new listener, as a station does."""
OK = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nicy-name: The Drill\r\n\r\n"
NOT_FOUND = b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"

OnStep = Callable[[str, str], None]
"""Called with the path and the step when a step begins."""
Script = str | bytes


class FaultyStation:
    """Listens on a free loopback port until it is closed."""

    def __init__(
        self,
        scripts: Mapping[str, Sequence[Script]],
        sound: Path,
        bytes_per_s: int,
        on_step: OnStep,
        *,
        burst_s: float = BURST_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`sound` is an MP3 of constant bit rate; `scripts` has a list for each path.

        Without a burst (`burst_s` 0) a listener joins in the middle of a frame.
        """
        self._scripts, self._sound, self._bytes_per_s, self._on_step = scripts, sound, bytes_per_s, on_step
        self._burst_s, self._tls = burst_s, tls
        self._count = dict.fromkeys(scripts, 0)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/{path}"

    def close(self) -> None:
        """Close all connections."""
        self._closed.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=self._answer, args=(self._socket.accept()[0],), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError):  # the client has disconnected
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
            path = client.recv(65_536).split(b" ")[1].decode().lstrip("/")
            with self._lock:
                scripts = self._scripts[path]
                script = scripts[min(self._count[path], len(scripts) - 1)]
                self._count[path] += 1
            response = _Response(client, self._sound.read_bytes(), self._bytes_per_s, self._burst_s, self._closed)
            response.play(script, lambda step: self._on_step(path, step))


class _Response:
    """The answer to one request."""

    def __init__(
        self, client: socket.socket, sound: bytes, bytes_per_s: int, burst_s: float, closed: threading.Event
    ) -> None:
        self._client, self._sound, self._bytes_per_s, self._closed = client, sound, bytes_per_s, closed
        self._position, self._ahead_s = 0 if burst_s else MID_FRAME, burst_s

    def play(self, script: Script, on_step: Callable[[str], None]) -> None:
        """Follow a script to its end; OSError when the client disconnects."""
        if isinstance(script, bytes):
            on_step("answer")
            self._client.sendall(script)
            return
        if script == "404":
            on_step("404")
            self._client.sendall(NOT_FOUND)
            return
        self._client.sendall(OK)
        on_step("sound")
        for step in script.split():
            name, _, value = step.partition("=")
            if name in ("play", "noise"):
                self._send(float(value) if value else float("inf"), noise=name == "noise")
                continue
            on_step(name)
            if name == "use":
                self._sound, self._position = Path(value).read_bytes(), 0
            elif name == "stall":
                self._closed.wait()
            elif name == "pause":
                self._closed.wait(float(value))
                on_step("resume")

    def _send(self, seconds: float, *, noise: bool) -> None:
        start, sent_s = time.monotonic(), 0.0
        while sent_s < seconds and not self._closed.is_set():
            self._closed.wait(max(0.0, start + sent_s - self._ahead_s - time.monotonic()))
            n = round(self._bytes_per_s * CHUNK_S)
            self._client.sendall(os.urandom(n) if noise else self._next(n))
            sent_s += CHUNK_S

    def _next(self, n: int) -> bytes:
        piece = self._sound[self._position : self._position + n]
        self._position = (self._position + n) % len(self._sound)
        return piece

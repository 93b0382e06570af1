"""A tunnel to a server that ffmpeg opens by itself, without a check of certificates and of redirects."""

import os
import re
import socket
import threading
from collections.abc import Callable

from genrewatch.sources.tuner.connection import Access, connect
from genrewatch.sources.tuner.http import PIECE_BYTES

_LOCATION = re.compile(rb"\nlocation:", re.IGNORECASE)
_KEPT_BYTES = len(b"\nlocation")


class Redirected(OSError):
    """The server leads elsewhere, without a check of where."""


class Tunnel:
    """Connections to one server, of RTSP or MMSH; a loopback port leads into them."""

    def __init__(self, host: str, port: int, access: Access, *, tls: bool, on_error: Callable[[str], None]) -> None:
        """Connect; OSError where the server cannot be reached or its certificate is wrong.

        `on_error` receives the reason why a connection is ended.
        """
        self._host, self._tls, self._on_error = host, access.tls if tls else None, on_error
        self._addresses, self._follows = access.reach.addresses(host, port), access.reach.private
        self._waiting: list[socket.socket] = [self._connect()]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def serve(self, descriptor: int) -> None:
        """Connect each client with the server, until the process ends with ffmpeg."""
        os.close(descriptor)  # ffmpeg's list of addresses ends here
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _connect(self) -> socket.socket:
        connection = connect(self._addresses)
        connection = self._tls.wrap(connection, self._host) if self._tls else connection
        connection.settimeout(None)
        return connection

    def _join(self, client: socket.socket) -> None:
        """Copy in both directions until one side closes or the server leads elsewhere."""
        try:
            server = self._waiting.pop() if self._waiting else self._connect()
            threading.Thread(target=_copy, args=(client, server), daemon=True).start()
            _copy(server, client, (lambda data: None) if self._follows else _refuse_redirects())
        except OSError as exc:
            self._on_error(str(exc))
            client.close()


def _refuse_redirects() -> Callable[[bytes], None]:
    """Return a check of consecutive pieces of a connection that raises Redirected for a Location header.

    ffmpeg ignores each carriage return in an RTSP header.
    """
    last = [b""]

    def check(data: bytes) -> None:
        seen = last[0] + data.replace(b"\r", b"")
        if _LOCATION.search(seen):
            raise Redirected("a redirect inside RTSP or MMSH is not followed (private=yes allows it)")
        last[0] = seen[-_KEPT_BYTES:]

    return check


def _copy(source: socket.socket, target: socket.socket, check: Callable[[bytes], None] = lambda data: None) -> None:
    try:
        while data := source.recv(PIECE_BYTES):
            check(data)
            target.sendall(data)
    except Redirected:
        raise
    except OSError:
        pass  # one of them has closed
    finally:
        try:
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

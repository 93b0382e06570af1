"""A tunnel to an RTSP server, for an ffmpeg that neither verifies certificates nor checks where a redirect leads."""

import os
import re
import socket
import threading
from collections.abc import Callable

from genrewatch.sources.tuner.connection import Access, connect
from genrewatch.sources.tuner.http import PIECE_BYTES

_REDIRECT = re.compile(rb"RTSP/1\.\d 3\d\d")
_LONGEST = len(b"RTSP/1.0 302")


class Redirected(OSError):
    """The server leads elsewhere, without a check of where."""


class Tunnel:
    """A connection to a server; a loopback port leads one client into it."""

    def __init__(self, host: str, port: int, access: Access, *, tls: bool, on_error: Callable[[str], None]) -> None:
        """Connect; OSError where the server cannot be reached or its certificate is wrong.

        `on_error` receives the reason why the connection is ended.
        """
        connection = connect(access.reach.addresses(host, port))
        self._server = access.tls.wrap(connection, host) if tls else connection
        self._server.settimeout(None)
        self._follows, self._on_error = access.reach.private, on_error
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def serve(self, descriptor: int) -> None:
        """Connect the first client with the server until one of them closes, or the server leads elsewhere."""
        os.close(descriptor)  # ffmpeg's list of addresses ends here
        client, _ = self._listener.accept()
        self._listener.close()
        threading.Thread(target=_copy, args=(client, self._server), daemon=True).start()
        try:
            _copy(self._server, client, (lambda data: None) if self._follows else _refuse_redirects())
        except Redirected as exc:
            self._on_error(str(exc))


def _refuse_redirects() -> Callable[[bytes], None]:
    """Return a check of consecutive pieces of a connection that raises Redirected for an answer with status 3xx."""
    last = [b""]

    def check(data: bytes) -> None:
        if _REDIRECT.search(last[0] + data):
            raise Redirected("a redirect inside RTSP is not followed (private=yes allows it)")
        last[0] = (last[0] + data)[-_LONGEST:]

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

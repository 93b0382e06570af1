"""A TLS tunnel for an ffmpeg that does not verify the certificates of rtsps."""

import os
import socket
import threading

from genrewatch.sources.tuner.connection import Access, connect
from genrewatch.sources.tuner.http import PIECE_BYTES


class TlsTunnel:
    """An encrypted connection to a server; a loopback port leads one client into it."""

    def __init__(self, host: str, port: int, access: Access) -> None:
        """Connect; OSError where the server cannot be reached or its certificate is wrong."""
        self._server = access.tls.wrap(connect(access.reach.addresses(host, port)), host)
        self._server.settimeout(None)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def serve(self, descriptor: int) -> None:
        """Connect the first client with the server until one of them closes."""
        os.close(descriptor)  # ffmpeg's list of addresses ends here
        client, _ = self._listener.accept()
        self._listener.close()
        threading.Thread(target=_copy, args=(client, self._server), daemon=True).start()
        _copy(self._server, client)


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(PIECE_BYTES):
            target.sendall(data)
    except OSError:
        pass  # one of them has closed
    try:
        target.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass

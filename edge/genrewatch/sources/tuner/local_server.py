"""An HTTP server for one ffmpeg, on loopback: every request of ffmpeg becomes a request of ours.

So HLS segments, keys and redirects keep to the same rules as everything else. Certificates are verified, which ffmpeg
would not do for segments; private addresses are out of reach, and logins and tokens stay out of ffmpeg's command line.
"""

import base64
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from genrewatch.sources.tuner.connection import Access
from genrewatch.sources.tuner.hls import rewritten
from genrewatch.sources.tuner.http import PIECE_BYTES, Response, open_url, pushed_back, read_all
from genrewatch.sources.tuner.playlist import decode

MAX_PLAYLIST_BYTES = 4 << 20
MAX_REQUEST_BYTES = 16_384
_PASSED_ON = ("content-type", "content-range", "accept-ranges")


class LocalServer:
    """Serves the documents whose addresses it made; a token keeps other users of the machine out."""

    def __init__(self, access: Access, on_error: Callable[[str], None]) -> None:
        """`on_error` receives the reason of each request that fails."""
        self._access, self._on_error = access, on_error
        self._token = secrets.token_urlsafe(16)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._base = f"http://127.0.0.1:{self._socket.getsockname()[1]}/{self._token}/"

    def url(self, target: str) -> str:
        """Return the local address of a document elsewhere; ffmpeg looks at its suffix."""
        suffix = PurePosixPath(urlsplit(target).path).suffix or ".ts"
        return f"{self._base}{base64.urlsafe_b64encode(target.encode()).decode()}/x{suffix[:8]}"

    def serve(self) -> None:
        """Answer requests until the process ends."""
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                target, headers = self._request(connection)
                response = open_url(target, self._access, headers)
                try:
                    self._send(connection, response)
                finally:
                    response.close()
            except (BrokenPipeError, ConnectionResetError):
                return  # ffmpeg has closed it
            except (OSError, ValueError) as exc:
                self._on_error(str(exc))
                code = str(exc)[:3] if str(exc)[:3].isdecimal() else "502"
                with suppress(OSError):
                    connection.sendall(f"HTTP/1.0 {code} Failed\r\nContent-Length: 0\r\n\r\n".encode())

    def _request(self, connection: socket.socket) -> tuple[str, dict[str, str]]:
        """Return the address that ffmpeg asks for, and its Range header."""
        with connection.makefile("rb") as file:
            words = file.readline(MAX_REQUEST_BYTES).decode("latin-1").split(" ")
            lines = iter(lambda: file.readline(MAX_REQUEST_BYTES).decode("latin-1").strip(), "")
            headers = dict(line.split(": ", 1) for line in lines if line.lower().startswith("range: "))
        _, token, encoded, *_ = [*words[1].split("/"), "", "", ""] if len(words) > 1 else [""] * 4
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            raise ValueError("403 not for you")
        target = base64.urlsafe_b64decode(encoded).decode()
        if urlsplit(target).scheme not in ("http", "https"):
            raise ValueError(f"a {urlsplit(target).scheme or 'local'} address is not allowed in a playlist")
        return target, headers

    def _send(self, connection: socket.socket, response: Response) -> None:
        start = read_all(response, len(b"\xef\xbb\xbf#EXTM3U"))
        read = pushed_back(start, response.read)
        if b"#EXTM3U" in start:
            text = decode(start + read_all(response, MAX_PLAYLIST_BYTES))
            self._send_whole(connection, rewritten(text, response.url, self.url).encode())
            return
        lines = [f"{name}: {response.headers[name]}\r\n" for name in _PASSED_ON if name in response.headers]
        if "content-encoding" not in response.headers and "content-length" in response.headers:
            lines.append(f"Content-Length: {response.headers['content-length']}\r\n")
        connection.sendall(f"HTTP/1.0 {response.status} OK\r\n{''.join(lines)}\r\n".encode("latin-1"))
        while piece := read(PIECE_BYTES):
            connection.sendall(piece)

    def _send_whole(self, connection: socket.socket, body: bytes) -> None:
        head = "HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

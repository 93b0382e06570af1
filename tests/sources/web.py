"""A web server of a test, answering with raw bytes: whole answers, redirects, logins, TLS; and certificates for it."""

import gzip
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Play = Callable[[socket.socket], None]


class RawServer:
    """Pages by path; each is the whole answer as bytes, or a function that sends it."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, bytes | Play] = {}
        self.requests: list[str] = []
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> "RawServer":
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def url(self, path: str, *, login: str = "", host: str = "127.0.0.1") -> str:
        return f"{'https' if self._context else 'http'}://{login}{host}:{self.port}{path}"

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self._socket.accept()[0],), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with suppress(OSError):
            connection = self._context.wrap_socket(client, server_side=True) if self._context else client
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (data := connection.recv(65_536)):
                    head += data
                path = head.split(b" ")[1].decode()
                self.requests.append(head.decode("latin-1"))
                page = self.pages.get(path, answer(b"", status="404 Not Found"))
                if isinstance(page, bytes):
                    connection.sendall(page)
                else:
                    page(connection)


def answer(body: bytes, *headers: str, status: str = "200 OK", protocol: str = "HTTP/1.1") -> bytes:
    """Return a whole answer; its end is the end of the connection."""
    lines = [f"{protocol} {status}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(target: str) -> bytes:
    """Return an answer that leads elsewhere."""
    return answer(b"", f"Location: {target}", status="302 Found")


def zipped(body: bytes, *headers: str) -> bytes:
    """Return an answer in gzip."""
    return answer(gzip.compress(body), "Content-Encoding: gzip", *headers)


def without_burst(sound: bytes, bytes_per_s: float, content_type: str) -> Play:
    """Return a function that plays a file in real time from the moment a listener comes, from the middle of a frame."""

    def play(connection: socket.socket) -> None:
        connection.sendall(answer(b"", f"Content-Type: {content_type}"))
        start, sent = time.monotonic(), 1000
        while sent < len(sound):
            n = max(1, round(bytes_per_s * 0.05))
            connection.sendall(sound[sent : sent + n])
            sent += n
            time.sleep(max(0.0, start + (sent - 1000) / bytes_per_s - time.monotonic()))

    return play


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return the PEM file of an authority, and the context of a server for localhost that it has certified."""
    folder.mkdir(exist_ok=True)
    ca, ca_key, key, request, chain = (folder / name for name in ("ca.pem", "ca.key", "key.pem", "r.csr", "c.pem"))
    new_key = ["-newkey", "rsa:2048", "-nodes"]
    _openssl("req", "-x509", *new_key, "-keyout", ca_key, "-out", ca, "-subj", "/CN=Test CA", "-days", "2")
    _openssl("req", *new_key, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    signed = ["-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", names]
    _openssl("x509", "-req", "-in", request, "-out", chain, *signed)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return ca, context


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

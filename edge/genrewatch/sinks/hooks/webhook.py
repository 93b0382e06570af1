"""A hook's webhook: the event posted to an http(s) URL, within a time limit for the whole exchange.

`urllib` limits each read and not the whole, follows redirects anywhere and puts the URL into its errors, so only the
request is the standard library's; of the answer we want one line. No redirect is followed.
"""

import base64
import re
import socket
import ssl
import threading
import time
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import unquote

from genrewatch import __version__
from genrewatch.contract.errors import os_error_reason
from genrewatch.host.untrusted_text import redacted_line
from genrewatch.sinks.events import Event
from genrewatch.sinks.hooks.action import STOPPED, Outcome
from genrewatch.sinks.hooks.config import split_url
from genrewatch.sinks.hooks.rendering import Rendering

TICK_S = 0.1  # how often one that waits for an answer looks whether it is to stop
LONGEST_ANSWER = 4096  # bytes that are read in search of the status line


class Webhook:
    """See `Action`; the time limit does not cover the lookup of the host name."""

    def __init__(self, url: str, rendering: Rendering, timeout_s: float) -> None:
        self._rendering = rendering
        parts = split_url(url)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._tls else 80)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers: dict[str, str | bytes] = {
            "User-Agent": f"genrewatch/{__version__}",
            "Connection": "close",
        }
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        self._timeout_s = timeout_s
        self._stopping = threading.Event()

    def run(self, event: Event, body: bytes) -> Outcome:
        """See `Action`."""
        deadline = time.monotonic() + self._timeout_s
        try:
            connection = self._connect(deadline)
        except OSError as exc:  # a name that nobody knows and a certificate that nobody trusts are
            return Outcome(why=self._why(exc), retry=True)
        try:
            headers = {**self._headers, **self._rendering.headers(body)}
            connection.request("POST", self._path, self._rendering.body(body), headers)
            return Outcome(why=_refusal(self._answer(connection.sock, deadline)))
        except OSError as exc:
            return Outcome(why=self._why(exc))
        finally:
            connection.close()

    def stop(self) -> None:
        """See `Action`; an attempt that is still connecting lasts until its time limit."""
        self._stopping.set()

    def _connect(self, deadline: float) -> HTTPConnection:
        """Connect to the first address that answers; each gets an equal share of the time left."""
        wrong: OSError = ConnectionError("no address")
        addresses = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            if self._stopping.is_set():
                raise ConnectionAbortedError(STOPPED)
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(_left_s(deadline) / (len(addresses) - number))
                sock.connect(address)
                sock.settimeout(_left_s(deadline))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body are sent one by one
                return self._speaking(sock)
            except OSError as exc:
                sock.close()
                wrong = exc
        raise wrong

    def _speaking(self, sock: socket.socket) -> HTTPConnection:
        if self._tls is None:
            connection = HTTPConnection(self._host, self._port)
            connection.sock = sock
        else:
            connection = HTTPSConnection(self._host, self._port, context=self._tls)
            connection.sock = self._tls.wrap_socket(sock, server_hostname=self._host)
        return connection

    def _answer(self, sock: socket.socket, deadline: float) -> bytes:
        """Return the start of the answer, at least its first line if there is one."""
        head = b""
        while b"\n" not in head and len(head) < LONGEST_ANSWER:
            if self._stopping.is_set():
                raise ConnectionAbortedError(STOPPED)
            if time.monotonic() >= deadline:
                raise TimeoutError
            sock.settimeout(min(TICK_S, _left_s(deadline)))
            try:
                data = sock.recv(LONGEST_ANSWER)
            except TimeoutError:
                continue
            if not data:
                break
            head += data
        return head

    def _why(self, wrong: OSError) -> str:
        if isinstance(wrong, TimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        return redacted_line(os_error_reason(wrong))


def _left_s(deadline: float) -> float:
    """Return the seconds until `deadline`, above 0, which would make a socket non-blocking."""
    return max(0.01, deadline - time.monotonic())


def _refusal(head: bytes) -> str | None:
    """Return `answered 500 Internal Server Error`, or None for a status of success."""
    status = re.match(rb"HTTP/1\.[01] (\d{3})([^\r\n]*)", head)
    if status is None:
        return "no HTTP answer"
    if status[1].startswith(b"2"):
        return None
    return redacted_line(f"answered {status[1].decode()} {status[2].decode(errors='replace')}")

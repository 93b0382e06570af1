"""Hooks for tests: short commands, real web servers on free loopback ports, and time limits for slow machines."""

import shlex
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from genrewatch.host.backoff import Backoff
from genrewatch.sinks.hooks.sink import HookConfig, HookSink, QueueLimits

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
LONG_S = 20.0  # far longer than anything takes
NAMES = {"mic": "Record player", "radio": "Radio X"}
QUICK = QueueLimits(backoff=Backoff(first_s=0.05, max_s=0.1))
EVENT: dict[str, Any] = {
    "v": 1,
    "node": "box",
    "source": "mic",
    "name": "Record player",
    "ts": "2026-11-22T12:00:00.123Z",
    "event_type": "genre_changed",
    "genre": "rock",
    "previous_genre": None,
    "reason": "majority",
    "confidence": 0.6432,
    "level_dbfs": -18.3,
    "station": "Rádio",
    "title": None,
    "model": "net",
    "version": "1.2.0",
}
"""The payload of a genre_changed event."""


def python(program: str) -> str:
    """The command line that runs a Python program."""
    return shlex.join([sys.executable, "-c", textwrap.dedent(program)])


def until(holds: Callable[[], Any]) -> Any:
    """What `holds` returns as soon as it is true."""
    end = time.monotonic() + LONG_S
    while not (found := holds()):
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.01)
    return found


def settled(sink: HookSink, *, ran: int) -> dict[str, Any]:
    """The health of the first hook once it has run so often."""
    until(lambda: sink.health()["0"]["ran"] >= ran)
    return sink.health()["0"]


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def running_hooks(*hooks: HookConfig, **arguments: Any) -> Iterator[HookSink]:
    """The hooks of node `box`, closed at the end."""
    sink = HookSink(hooks, node="box", **{"names": NAMES, "clock": lambda: NOON, "limits": QUICK, **arguments})
    try:
        yield sink
    finally:
        sink.close()


class WebServer(ThreadingHTTPServer):
    """Keeps what is posted, as (path, headers, body), and answers with `status` and `headers`."""

    daemon_threads = True

    def __init__(self, port: int = 0, *, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.headers = status, headers
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.server_port}"

    def __enter__(self) -> "WebServer":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        for name, value in self.server.headers:
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass

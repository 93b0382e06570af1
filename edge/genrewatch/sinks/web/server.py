"""The HTTP server: waitress in a thread of its own, with bounds for everything that a peer can cause."""

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from genrewatch.contract.errors import os_error_reason
from genrewatch.host.guarded_thread import GuardedThread
from genrewatch.sinks.web.config import WebConfig

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

THREADS = 12
"""Requests that are served at the same time."""
MAX_VIEWERS = 8
"""Event streams, each of which takes a thread; fewer than `THREADS`, so that pages and metrics are always served."""
CONNECTIONS = 100
SLOW_MS = 20_000
"""Time after which the system closes a connection whose peer takes nothing."""
FINISH_S, CLOSE_S = 1.0, 1.5
"""Longest time for requests to finish, and for the thread to end."""

log = logging.getLogger("genrewatch")

TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)
SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    *([(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, SLOW_MS)] if TCP_USER_TIMEOUT is not None else []),
]
SETTINGS: dict[str, Any] = {
    "threads": THREADS,
    "connection_limit": CONNECTIONS,
    "channel_timeout": 60,
    "channel_request_lookahead": 1,  # lets a stream see that its viewer has disconnected
    "asyncore_loop_timeout": 15,
    "asyncore_use_poll": True,
    "max_request_header_size": 16_384,
    "max_request_body_size": 4096,
    "outbuf_high_watermark": 262_144,
    "clear_untrusted_proxy_headers": True,
    "expose_tracebacks": False,
    "ident": None,
}


class WebServer:
    """Serves a WSGI application until it is closed."""

    def __init__(self, config: WebConfig, application: "WSGIApplication", on_close: Callable[[], None]) -> None:
        """`on_close` is called before the threads are stopped; it must end the responses that never end."""
        self._config, self._application, self._on_close = config, application, on_close
        self._server: Any = None
        self._sockets: dict[int, Any] = {}
        self._thread: GuardedThread | None = None
        self.port = 0
        """The port, once it has started."""

    def start(self) -> bool:
        """Start to serve; False, with one warning, where that is impossible."""
        try:
            self._server = self._create(self._config.port)
            self._thread = GuardedThread("web", self._run)
            self._thread.start()
        except ModuleNotFoundError as exc:
            log.warning("no page: the package %s is not installed; listening goes on", exc.name)
            return False
        except (OSError, RuntimeError) as exc:  # the port is taken, or no thread is left
            where, why = f"{self._config.host}:{self._config.port}", os_error_reason(exc)
            log.warning("no page at %s (%s; web.port in the configuration sets another); listening goes on", where, why)
            return False
        return True

    @property
    def problem(self) -> str | None:
        """The problem of the thread, as text for people; None while it works, and where it never started."""
        return self._thread.problem if self._thread else None

    def close(self) -> None:
        """Close all connections; at most 3 s."""
        self._on_close()
        thread, server, self._thread = self._thread, self._server, None
        if thread is None or not thread.is_alive():
            return
        if server is not None:
            server.task_dispatcher.shutdown(timeout=FINISH_S)
            with suppress(OSError):  # it has stopped meanwhile
                server.trigger.pull_trigger(self._close_connections)
        thread.join(CLOSE_S)

    def _create(self, port: int) -> Any:
        """Return a server that listens; raises OSError."""
        from waitress.server import create_server

        listening = _bound(self._config.host, port)
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._sockets.clear()
        server = create_server(self._application, map=self._sockets, sockets=[listening], **SETTINGS)
        server.adj.socket_options = SOCKET_OPTIONS
        self.port = listening.getsockname()[1]
        return server

    def _close_connections(self) -> None:
        """Close all sockets, which ends the thread that calls this."""
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.close()

    def _run(self) -> None:
        """Serve; after a defect all connections are closed, and the thread serves again on the same port."""
        if self._server is None:
            self._server = self._create(self.port)
        try:
            self._server.run()
        except Exception:
            self._close_connections()
            self._server = None
            raise


def _bound(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises OSError."""
    (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(64)
    except OSError:
        made.close()
        raise
    return made

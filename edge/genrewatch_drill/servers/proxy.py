"""A TCP proxy before a server: it can be opened, closed and frozen, and a tap sees the bytes of both directions.

While it is closed, clients are refused as if the server had ended. While it is frozen, connections stay open and bytes
are held back, as by a network or a server that hangs; bytes held when it closes never arrive.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

from genrewatch_drill.servers.ports import free_port

TIMEOUT_S = 10.0
BACKLOG = 1000
CHUNK = 65_536


class Tap(Protocol):
    """An observer of one connection."""

    def client_sent(self, data: bytes) -> None:
        """Receive bytes on their way to the server."""

    def server_sent(self, data: bytes) -> None:
        """Receive bytes on their way to the client."""


class _NoTap:
    def client_sent(self, data: bytes) -> None:
        pass

    def server_sent(self, data: bytes) -> None:
        pass


class Proxy:
    """Forwards connections from a port of its own to a server's port; runs in its own thread. A context manager."""

    def __init__(self, new_tap: Callable[[], Tap] = _NoTap) -> None:
        """`new_tap` makes the observer of a new connection."""
        self.port = free_port()
        self._new_tap = new_tap
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._to_server, self._to_client = asyncio.Event(), asyncio.Event()
        """Set while bytes pass in that direction."""
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of an MQTT broker behind the proxy."""
        return f"mqtt://127.0.0.1:{self.port}"

    def open(self, server_port: int) -> "Proxy":
        """Accept connections and forward them to a port."""
        self._run(self._open(server_port))
        return self

    def freeze(self, *, to_server: bool) -> None:
        """Hold back bytes from the server, and with `to_server` those from clients, until the next `open`."""
        self._loop.call_soon_threadsafe(self._to_client.clear)
        if to_server:
            self._loop.call_soon_threadsafe(self._to_server.clear)

    def close(self, *, drain_s: float = 0.0) -> None:
        """Close all connections and refuse new ones; `drain_s` is the longest wait for bytes under way."""
        self._run(self._close(drain_s))

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_S)

    async def _open(self, server_port: int) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            self._connections.add(task)
            try:
                # cancelled by `_close`; without the suppression asyncio.streams would log the cancellation
                with suppress(OSError, asyncio.CancelledError):
                    await self._forward(reader, writer, *await asyncio.open_connection("127.0.0.1", server_port))
            finally:
                writer.close()
                self._connections.discard(task)

        self._to_server.set()
        self._to_client.set()
        self._server = await asyncio.start_server(connected, "127.0.0.1", self.port, backlog=BACKLOG)

    async def _close(self, drain_s: float) -> None:
        if self._server:
            self._server.close()
            self._server = None
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=drain_s if self._to_client.is_set() else 0.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _end(self) -> None:
        """Close everything; a connection that has just been accepted is in no list yet."""
        await self._close(0.0)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    async def _forward(
        self,
        client_in: asyncio.StreamReader,
        client_out: asyncio.StreamWriter,
        server_in: asyncio.StreamReader,
        server_out: asyncio.StreamWriter,
    ) -> None:
        """Forward both directions until one ends."""
        tap = self._new_tap()
        outward = asyncio.create_task(_pump(client_in, server_out, tap.client_sent, self._to_server))
        inward = asyncio.create_task(_pump(server_in, client_out, tap.server_sent, self._to_client))
        try:
            await asyncio.wait((outward, inward), return_when=asyncio.FIRST_COMPLETED)
            server_out.close()
            await asyncio.wait((inward,), timeout=0.5)  # the server's last bytes
        finally:
            outward.cancel()
            inward.cancel()
            server_out.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tap: Callable[[bytes], None], passes: asyncio.Event
) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            await passes.wait()
            tap(data)
            writer.write(data)
            await writer.drain()

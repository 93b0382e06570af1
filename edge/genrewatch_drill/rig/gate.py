"""The way of the nodes to the broker: open only while somebody listens there, and it takes down what is acknowledged.

A broker that is back acknowledges what comes to it even if nobody is subscribed yet, and drops it; so the drill's
subscriber goes first. What the gate sees also tells whose fault it is when a record does not arrive. It can freeze,
one way or both, as a network or a broker that hangs before it is gone: what is held then never arrives.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from genrewatch_drill.rig.broker import free_port
from genrewatch_drill.rig.packets import CONNECT, Splitter, accepted, is_v5, record_key, sent

PATIENCE_S = 10.0
WAITING_CONNECTIONS = 1000
CHUNK = 65_536

Key = tuple[str, int]
"""(node, seq)."""


class Gate:
    """Passes connections from a port of its own on to the broker's; runs in a thread of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self._posted: Counter[Key] = Counter()
        self._accepted: set[Key] = set()
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._passages: set[asyncio.Task[None]] = set()
        self._outward, self._inward = asyncio.Event(), asyncio.Event()
        """Whether what nodes say, and what the broker says, passes."""
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="gate", daemon=True)
        self._thread.start()

    def posted(self) -> Counter[Key]:
        """How often each record was sent."""
        with self._lock:
            return Counter(self._posted)

    def accepted(self) -> set[Key]:
        """The records that the broker has acknowledged, in a message that reached the node or at least us."""
        with self._lock:
            return set(self._accepted)

    def open(self, broker_port: int) -> None:
        """Lets nodes pass to the broker."""
        self._do(self._open(broker_port))

    def freeze(self, *, outward: bool) -> None:
        """Holds what the broker says, and what nodes say if `outward`, until the gate is opened anew."""
        self._loop.call_soon_threadsafe(self._inward.clear)
        if outward:
            self._loop.call_soon_threadsafe(self._outward.clear)

    def close(self) -> None:
        """Hangs up on all nodes and takes no more, once what is under way has passed."""
        self._do(self._close())

    def end(self) -> None:
        """Closes for good."""
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE_S)

    async def _open(self, broker_port: int) -> None:
        async def passage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            self._passages.add(task)
            try:
                with suppress(OSError, asyncio.CancelledError):  # cancelled by `_close`, or streams would complain
                    await self._pass(reader, writer, *await asyncio.open_connection("127.0.0.1", broker_port))
            finally:
                writer.close()
                self._passages.discard(task)

        self._outward.set()
        self._inward.set()
        self._server = await asyncio.start_server(passage, "127.0.0.1", self.port, backlog=WAITING_CONNECTIONS)

    async def _close(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        if self._passages:
            _, late = await asyncio.wait(self._passages, timeout=1.0 if self._inward.is_set() else 0.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _pass(
        self,
        node_in: asyncio.StreamReader,
        node_out: asyncio.StreamWriter,
        broker_in: asyncio.StreamReader,
        broker_out: asyncio.StreamWriter,
    ) -> None:
        """Both directions until one ends; the broker's end is the end of both."""
        tap = _Tap(self._posted, self._accepted, self._lock)
        outward = asyncio.create_task(_pump(node_in, broker_out, tap.node_says, self._outward))
        inward = asyncio.create_task(_pump(broker_in, node_out, tap.broker_says, self._inward))
        try:
            await asyncio.wait((outward, inward), return_when=asyncio.FIRST_COMPLETED)
            broker_out.close()
            await asyncio.wait((inward,), timeout=0.5)  # what it had still said
        finally:
            outward.cancel()
            inward.cancel()
            broker_out.close()


class _Tap:
    """Takes down what passes on one connection."""

    def __init__(self, posted: Counter[Key], accepted_: set[Key], lock: threading.Lock) -> None:
        self._posted, self._accepted, self._lock = posted, accepted_, lock
        self._from_node, self._from_broker = Splitter(), Splitter()
        self._under_way: dict[int, Key] = {}
        self._v5 = True

    def node_says(self, data: bytes) -> None:
        for packet in self._from_node.push(data):
            if packet[0] >> 4 == CONNECT:
                self._v5 = is_v5(packet[1])
            message = sent(packet, v5=self._v5)
            key = record_key(message) if message else None
            if message and key:
                self._under_way[message.number] = key
                with self._lock:
                    self._posted[key] += 1

    def broker_says(self, data: bytes) -> None:
        for packet in self._from_broker.push(data):
            key = self._under_way.pop(number, None) if (number := accepted(packet)) is not None else None
            if key:
                with self._lock:
                    self._accepted.add(key)


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tap: Callable[[bytes], None], passes: asyncio.Event
) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            await passes.wait()
            tap(data)
            writer.write(data)
            await writer.drain()

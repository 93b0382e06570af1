"""MQTT helpers for tests: a subscriber whose messages a test waits for, and a proxy that refuses MQTT 5."""

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import MQTTMessage

from genrewatch_drill.servers.ports import wait_for_port
from genrewatch_drill.servers.subscriber import READY_S, Subscriber


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A message as the subscriber received it."""

    topic: str
    payload: str
    retain: bool
    qos: int
    properties: dict[str, Any]


class Watcher:
    """A subscriber to all topics; the retain flag is set on messages that the broker had retained before."""

    def __init__(self, port: int, *, v5: bool = True, login: tuple[str, str] | None = None) -> None:
        self._port = port
        self._messages: queue.Queue[Seen] = queue.Queue()
        self._subscriber = Subscriber(port, self._on_message, v5=v5, login=login)

    def __enter__(self) -> "Watcher":
        wait_for_port(self._port)
        self._subscriber.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self._subscriber.close()

    def next(self, topic_end: str, timeout_s: float = 10.0) -> Seen:
        """Return the next message whose topic ends with `topic_end`; earlier ones are dropped."""
        return self.until(lambda seen: seen.topic.endswith(topic_end), timeout_s)

    def until(self, wanted: Callable[[Seen], bool], timeout_s: float = 10.0) -> Seen:
        """Return the next message that is `wanted`; earlier ones are dropped."""
        others: list[Seen] = []
        end = time.monotonic() + timeout_s
        while True:
            try:
                seen = self._messages.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no such message in {timeout_s} s, only {others}") from None
            if wanted(seen):
                return seen
            others.append(seen)

    def settled(self) -> list[Seen]:
        """Return all messages that arrive before one published now."""
        topic, seen = "settled/here", list[Seen]()
        self._subscriber.publish(topic, "")
        while not seen or seen[-1].topic != topic:
            seen.append(self._messages.get(timeout=READY_S))
        return seen[:-1]

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publish a message to the broker."""
        self._subscriber.publish(topic, payload, retain=retain)

    def _on_message(self, message: MQTTMessage) -> None:
        properties = vars(message.properties) if message.properties is not None else {}
        self._messages.put(
            Seen(
                topic=message.topic,
                payload=message.payload.decode(),
                retain=message.retain,
                qos=message.qos,
                properties=properties,
            )
        )


@contextmanager
def no_mqtt_5(broker_port: int, refusal: bytes) -> Iterator[int]:
    """Run a proxy before a broker that answers a CONNECT of MQTT 5 with `refusal` and disconnects; yield its port.

    `b""` is a broker that disconnects without an answer; `20 02 00 01` one that supports 3.1.1 only; `20 03 00 84 00`
    one that supports MQTT 5 and has it disabled.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=connected, args=(server.accept()[0],), daemon=True).start()

        def connected(client: socket.socket) -> None:
            with client, suppress(OSError):
                first = client.recv(4096)
                if first[first.index(b"MQTT") + 4] == 5:
                    client.sendall(refusal)
                    return
                with socket.create_connection(("127.0.0.1", broker_port)) as broker:
                    broker.sendall(first)
                    threading.Thread(target=pump, args=(broker, client), daemon=True).start()
                    pump(client, broker)

        def pump(source: socket.socket, sink: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(4096):
                    sink.sendall(data)
            with suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

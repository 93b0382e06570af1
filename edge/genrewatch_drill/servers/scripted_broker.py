"""A small MQTT broker that enforces Receive Maximum and can misbehave; it stores and routes nothing."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from genrewatch.contract.errors import GenrewatchError

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 14
RECEIVE_MAXIMUM_EXCEEDED = 0x93
DROP_AFTER_S = 0.05


@dataclass(kw_only=True)
class ScriptedBroker:
    """The rules of the broker and what it has seen."""

    connack: bytes = b""
    """Properties of CONNACK (MQTT 5)."""
    receive_maximum: int = 65_535
    ack_delay_s: float = 0.0
    puback_reason: int = 0
    suback_reason: int = 1
    first_packets: list[bytes] = field(default_factory=list)
    """Packets to send after the SUBACK, one a connection."""
    drops_after_first_packet: bool = False
    """Whether a connection that has received its first packet is ended."""
    port: int = 0
    connections: int = 0
    most_in_flight: int = 0
    exceeded: int = 0
    """Connections that were ended with DISCONNECT 0x93."""
    pings: int = 0
    topics: list[str] = field(default_factory=list)
    filters: list[str] = field(default_factory=list)

    def wait_for(self, topic_end: str, timeout_s: float = 10.0) -> None:
        """Wait until a message on a topic with this end has arrived."""
        self.wait_until(lambda: any(topic.endswith(topic_end) for topic in self.topics), timeout_s)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait until `condition()` is true; GenrewatchError when it is not in time."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise GenrewatchError("the scripted broker", f"waited {timeout_s:g} s in vain: {self}")
            time.sleep(0.01)

    def serve(self, client: socket.socket) -> None:
        """Serve one connection until its end."""
        self.connections += 1
        in_flight: set[int] = set()
        with client, client.makefile("rb") as stream, suppress(OSError, IndexError):
            while header := stream.read(1):
                body = stream.read(_length(stream))
                kind = header[0] >> 4
                if kind == CONNECT:
                    properties = self.connack
                    if body[6] == 5:
                        client.sendall(_packet(CONNACK << 4, b"\0\0" + _varint(len(properties)) + properties))
                    else:
                        client.sendall(b"\x20\x02\0\0")
                    is_v5 = body[6] == 5
                elif kind == SUBSCRIBE:
                    self._subscribe(client, body, is_v5)
                elif kind == PUBLISH:
                    size = struct.unpack(">H", body[:2])[0]
                    self.topics.append(body[2 : 2 + size].decode())
                    if (header[0] >> 1) & 3:
                        packet_id = body[2 + size : 4 + size]
                        in_flight.add(int.from_bytes(packet_id, "big"))
                        self.most_in_flight = max(self.most_in_flight, len(in_flight))
                        if len(in_flight) > self.receive_maximum:
                            self.exceeded += 1
                            client.sendall(bytes([DISCONNECT << 4, 2, RECEIVE_MAXIMUM_EXCEEDED, 0]))
                            return
                        timer = threading.Timer(self.ack_delay_s, self._acknowledge, [client, packet_id, in_flight])
                        timer.daemon = True
                        timer.start()
                elif kind == PINGREQ:
                    self.pings += 1
                    client.sendall(b"\xd0\0")
                elif kind == DISCONNECT:
                    return

    def _subscribe(self, client: socket.socket, body: bytes, is_v5: bool) -> None:
        place, count = (3 + body[2]) if is_v5 else 2, 0
        while place < len(body):
            size = struct.unpack(">H", body[place : place + 2])[0]
            self.filters.append(body[place + 2 : place + 2 + size].decode())
            place, count = place + 3 + size, count + 1
        head = body[:2] + (b"\0" if is_v5 else b"")
        client.sendall(_packet(SUBACK << 4, head + bytes([self.suback_reason]) * count))
        if self.first_packets:
            client.sendall(self.first_packets.pop(0))
            if self.drops_after_first_packet:
                time.sleep(DROP_AFTER_S)
                client.shutdown(socket.SHUT_RDWR)

    def _acknowledge(self, client: socket.socket, packet_id: bytes, in_flight: set[int]) -> None:
        in_flight.discard(int.from_bytes(packet_id, "big"))
        reason = bytes([self.puback_reason]) if self.puback_reason else b""
        with suppress(OSError):
            client.sendall(_packet(PUBACK << 4, packet_id + reason))


@contextmanager
def scripted_broker(broker: ScriptedBroker) -> Iterator[ScriptedBroker]:
    """Run the broker on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        broker.port = server.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=broker.serve, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield broker
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def publish_packet(topic: bytes, payload: bytes, *, v5: bool = True) -> bytes:
    """Return a PUBLISH packet of QoS 0."""
    return _packet(PUBLISH << 4, struct.pack(">H", len(topic)) + topic + (b"\0" if v5 else b"") + payload)


def _packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    made = b""
    while True:
        low, number = number % 128, number // 128
        made += bytes([low | (128 if number else 0)])
        if not number:
            return made


def _length(stream: BinaryIO) -> int:
    number, shift = 0, 0
    while True:
        byte = stream.read(1)[0]
        number, shift = number | (byte & 127) << shift, shift + 7
        if not byte & 128:
            return number

"""The part of MQTT that shows, between a node and its broker, which records are published and acknowledged.

Versions 3.1.1 and 5; only CONNECT, PUBLISH and PUBACK are parsed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

CONNECT, PUBLISH, PUBACK = 1, 3, 4
FAILURE = 0x80
"""The lowest reason code that is a refusal."""

Packet = tuple[int, bytes]
"""(first byte, what follows the remaining length)."""


class PacketSplitter:
    """Splits the bytes of a connection into packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def push(self, data: bytes) -> Iterator[Packet]:
        """Append bytes and yield the packets that are complete."""
        self._buffer += data
        while len(self._buffer) >= 2:
            length, start = varint(self._buffer, 1)
            if length is None or len(self._buffer) < start + length:
                return
            packet = self._buffer[0], bytes(self._buffer[start : start + length])
            del self._buffer[: start + length]
            yield packet


@dataclass(frozen=True, kw_only=True)
class Publish:
    """A PUBLISH of QoS 1."""

    packet_id: int
    topic: str
    payload: bytes


def varint(data: bytes | bytearray, start: int) -> tuple[int | None, int]:
    """Decode a variable byte integer at `start`: (value, end), or (None, end) while it is incomplete."""
    value = shift = 0
    while start < len(data):
        value |= (data[start] & 0x7F) << shift
        shift, start = shift + 7, start + 1
        if not data[start - 1] & 0x80:
            return value, start
    return None, start


def is_v5(connect: bytes) -> bool:
    """Return whether the body of a CONNECT requests MQTT 5."""
    return connect[2 + int.from_bytes(connect[:2], "big")] == 5


def parse_publish(packet: Packet, *, v5: bool) -> Publish | None:
    """Return a PUBLISH of QoS 1, or None for any other packet."""
    first, body = packet
    if first >> 4 != PUBLISH or (first >> 1) & 3 != 1:
        return None
    end = 2 + int.from_bytes(body[:2], "big")
    topic, packet_id = body[2:end].decode(), int.from_bytes(body[end : end + 2], "big")
    end += 2
    if v5:
        length, end = varint(body, end)
        end += length or 0
    return Publish(packet_id=packet_id, topic=topic, payload=body[end:])


def acknowledged_id(packet: Packet) -> int | None:
    """Return the packet id of a PUBACK that reports success, or None for any other packet."""
    first, body = packet
    if first >> 4 != PUBACK or (len(body) > 2 and body[2] >= FAILURE):
        return None
    return int.from_bytes(body[:2], "big")


def record_key(publish: Publish) -> tuple[str, int] | None:
    """Return (node, seq) of a record of the history, or None for any other message."""
    levels = publish.topic.split("/")
    if levels[-1] != "history":
        return None
    return levels[-3], int(json.loads(publish.payload)["seq"])

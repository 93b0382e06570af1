"""Just enough of MQTT to see, between a node and its broker, which records are sent and which are acknowledged.

Versions 3.1.1 and 5; only PUBLISH and PUBACK are looked into.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

CONNECT, PUBLISH, PUBACK = 1, 3, 4
FAILURE = 0x80
"""From here on a reason code is a refusal."""

Packet = tuple[int, bytes]
"""The first byte, and what follows the length."""


class Splitter:
    """Bytes as they come off a connection -> whole packets."""

    def __init__(self) -> None:
        self._held = bytearray()

    def push(self, data: bytes) -> Iterator[Packet]:
        """The packets that are whole now."""
        self._held += data
        while len(self._held) >= 2:
            length, at = varint(self._held, 1)
            if length is None or len(self._held) < at + length:
                return
            packet = self._held[0], bytes(self._held[at : at + length])
            del self._held[: at + length]
            yield packet


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A PUBLISH of QoS 1."""

    number: int
    """Under which it will be acknowledged."""
    topic: str
    payload: bytes


def varint(data: bytes | bytearray, at: int) -> tuple[int | None, int]:
    """(a number of MQTT's variable length at `at`, where it ends); None while it is not whole."""
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not data[at - 1] & 0x80:
            return value, at
    return None, at


def is_v5(connect: bytes) -> bool:
    """Whether a CONNECT's body asks for MQTT 5."""
    return connect[2 + int.from_bytes(connect[:2], "big")] == 5


def sent(packet: Packet, *, v5: bool) -> Sent | None:
    """What is published, if it is a PUBLISH of QoS 1."""
    first, body = packet
    if first >> 4 != PUBLISH or (first >> 1) & 3 != 1:
        return None
    at = 2 + int.from_bytes(body[:2], "big")
    topic, number = body[2:at].decode(), int.from_bytes(body[at : at + 2], "big")
    at += 2
    if v5:
        length, at = varint(body, at)
        at += length or 0
    return Sent(number=number, topic=topic, payload=body[at:])


def accepted(packet: Packet) -> int | None:
    """The number that a PUBACK accepts, if it is one and does."""
    first, body = packet
    if first >> 4 != PUBACK or (len(body) > 2 and body[2] >= FAILURE):
        return None
    return int.from_bytes(body[:2], "big")


def record_key(message: Sent) -> tuple[str, int] | None:
    """(node, seq) of a record of the history; None for any other message."""
    levels = message.topic.split("/")
    if levels[-1] != "history":
        return None
    return levels[-3], int(json.loads(message.payload)["seq"])

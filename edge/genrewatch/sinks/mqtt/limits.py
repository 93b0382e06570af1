"""The limits that a broker announces in CONNACK (MQTT 5, 3.2.2.3); MQTT 3.1.1 announces none.

The rest of CONNACK needs nothing here: paho applies Server Keep Alive itself, no topic aliases are used, so Topic Alias
Maximum is never exceeded, and an Assigned Client Identifier is a reply to an empty client id, which is never sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paho.mqtt.properties import Properties

from genrewatch.sinks.mqtt.message import Message

MAX_IN_FLIGHT = 20
"""QoS 1 messages without PUBACK at most, also where the broker permits more."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one connection."""

    receive_maximum: int = 65_535
    """QoS 1 messages that may wait for their PUBACK."""
    maximum_packet_size: int | None = None
    """Bytes of the largest packet that the broker reads; None if it names no limit."""
    maximum_qos: int = 2
    retain_available: bool = True
    wildcards_available: bool = True

    @classmethod
    def of(cls, connack: Properties | None) -> "Limits":
        """Return the limits in the properties of a CONNACK."""
        return cls(
            receive_maximum=getattr(connack, "ReceiveMaximum", 65_535),
            maximum_packet_size=getattr(connack, "MaximumPacketSize", None),
            maximum_qos=getattr(connack, "MaximumQoS", 2),
            retain_available=bool(getattr(connack, "RetainAvailable", 1)),
            wildcards_available=bool(getattr(connack, "WildcardSubscriptionAvailable", 1)),
        )

    @property
    def in_flight(self) -> int:
        """Number of QoS 1 messages that may wait for their PUBACK."""
        return min(MAX_IN_FLIGHT, self.receive_maximum)

    def apply(self, message: Message) -> Message:
        """Return `message` with a QoS and a retain flag that the broker supports."""
        retain = message.retain and self.retain_available
        return replace(message, qos=min(message.qos, self.maximum_qos), retain=retain)

    def fits(self, packet_bytes: int) -> bool:
        """Return True if the broker reads a packet of this size."""
        return self.maximum_packet_size is None or packet_bytes <= self.maximum_packet_size

    def filters(self, filters: Sequence[str], exact: Sequence[str]) -> list[str]:
        """Return the topic filters to subscribe to: `filters`, or `exact` topics where wildcards are not available."""
        if self.wildcards_available:
            return list(filters)
        return [*(topic for topic in filters if not set("+#") & set(topic)), *exact]

    def problems(self) -> list[str]:
        """Return what does not work within these limits, a line each."""
        lost = ["the broker supports only QoS 0: messages can be lost"] if self.maximum_qos == 0 else []
        if not self.retain_available:
            lost.append("the broker retains nothing: a new subscriber waits up to a heartbeat for states")
        return lost


def packet_size(message: Message, properties: Properties | None) -> int:
    """Return the size of a PUBLISH packet in bytes."""
    packed = 0 if properties is None else len(properties.pack())  # type: ignore[no-untyped-call]
    rest = 2 + len(message.topic.encode()) + (2 if message.qos else 0) + packed + len(message.payload)
    return 1 + (rest > 127) + (rest > 16_383) + (rest > 2_097_151) + 1 + rest

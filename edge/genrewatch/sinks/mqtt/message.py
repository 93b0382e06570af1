"""Messages as the sink publishes and receives them, in either protocol version."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message to publish, in either protocol version."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    schema: str | None = None
    """Name of the JSON payload's schema; None for plain text."""
    expiry_s: int | None = None
    """Message expiry interval, seconds (MQTT 5)."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """A message that arrived on a subscription."""

    topic: str
    payload: bytes
    retain: bool
    """True for a message that the broker had retained before the subscription."""

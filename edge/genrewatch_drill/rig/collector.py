"""A subscriber to all topics, which keeps each record of the history and each other message with its time."""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import MQTTMessage

from genrewatch_drill.rig.audit import ReceivedRecord, canonical
from genrewatch_drill.servers.subscriber import Subscriber

TOPICS = ("genrewatch/#", "homeassistant/#")


@dataclass(frozen=True, kw_only=True)
class ReceivedMessage:
    """A message that is no record."""

    at: float
    """Time of arrival on the monotonic clock."""
    wall: float
    """The same in seconds since 1970."""
    node: str
    source: str
    """Empty for messages about the node."""
    kind: str
    """The last level of the topic; `config` for Home Assistant's discovery."""
    payload: bytes
    retain: bool
    """Set when the broker had retained it."""
    expiry_s: int | None

    @property
    def body(self) -> dict[str, Any]:
        """The payload decoded from JSON."""
        found: dict[str, Any] = json.loads(self.payload)
        return found


class Collector:
    """One subscriber over consecutive connections."""

    def __init__(self) -> None:
        self.records: list[ReceivedRecord] = []
        """Records in the order received."""
        self.messages: list[ReceivedMessage] = []
        """All other messages in the order received."""
        self.received = threading.Condition()
        """Notified with each message."""
        self._subscriber: Subscriber | None = None

    def connect(self, port: int) -> None:
        """Subscribe at a broker; GenrewatchError when it refuses."""
        self._subscriber = Subscriber(port, self._on_message, topics=TOPICS)
        self._subscriber.connect()

    def disconnect(self, *, broker_gone: bool = False) -> None:
        """Close the connection; with `broker_gone`, first receive everything that the killed broker had sent."""
        if self._subscriber is not None:
            self._subscriber.close(broker_gone=broker_gone)
            self._subscriber = None

    def _on_message(self, message: MQTTMessage) -> None:
        at, levels = time.monotonic(), message.topic.split("/")
        with self.received:
            if levels[-1] == "history":
                self.records.append(_record(at, levels, message))
            else:
                self.messages.append(_message(at, levels, message))
            self.received.notify_all()


def _record(at: float, levels: list[str], message: MQTTMessage) -> ReceivedRecord:
    record = json.loads(message.payload)
    return ReceivedRecord(
        at=at,
        node=levels[-3],
        source=levels[-2],
        seq=int(record["seq"]),
        text=canonical(record),
        backfilled=bool(record.get("backfilled")),
    )


def _message(at: float, levels: list[str], message: MQTTMessage) -> ReceivedMessage:
    if levels[-1] == "config":
        node, source = levels[-2], ""
    else:
        node, source = levels[1], levels[2] if len(levels) > 3 else ""
    return ReceivedMessage(
        at=at,
        wall=time.time(),
        node=node,
        source=source,
        kind=levels[-1],
        payload=bytes(message.payload),
        retain=message.retain,
        expiry_s=getattr(message.properties, "MessageExpiryInterval", None),
    )

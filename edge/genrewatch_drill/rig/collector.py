"""A subscriber to everything, which takes down each record of the history and each other message with its time."""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from genrewatch.contract.errors import SourceError
from genrewatch_drill.rig.ledger import Receipt, plain

TOPICS = ("genrewatch/#", "homeassistant/#")
READY_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A message that is no record."""

    at: float
    """When it came, on the monotonic clock."""
    wall: float
    """The same in seconds since 1970."""
    node: str
    source: str
    """Empty for what is said of the node."""
    kind: str
    """The last level of the topic; `config` for Home Assistant's discovery."""
    payload: bytes
    retain: bool
    """Whether the broker had kept it."""
    expiry_s: int | None

    @property
    def body(self) -> dict[str, Any]:
        """The payload, if it is JSON."""
        found: dict[str, Any] = json.loads(self.payload)
        return found


class Collector:
    """One subscriber, connection after connection."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        """Records, in the order in which they came."""
        self.heard: list[Heard] = []
        """All else."""
        self.news = threading.Condition()
        """Notified with each message."""
        self._client: Client | None = None
        self._subscribed, self._gone = threading.Event(), threading.Event()

    def connect(self, port: int) -> None:
        """Subscribes; SourceError when the broker does not let it."""
        self._subscribed, self._gone = threading.Event(), threading.Event()
        subscribed, gone = self._subscribed, self._gone
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False)
        client.on_message = self._take_down
        client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in TOPICS])
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_disconnect = lambda *_: gone.set()
        client.connect("127.0.0.1", port)
        client.loop_start()
        self._client = client
        if not subscribed.wait(READY_S):
            raise SourceError("the drill's subscriber", "no answer", "a broker that lets it subscribe")

    def drop(self, *, gone: bool) -> None:
        """Ends the connection; with a broker that is `gone`, after all that it had still sent."""
        if self._client is None:
            return
        if gone:
            self._gone.wait(READY_S)
        self._client.disconnect()
        self._client.loop_stop()
        self._client = None

    def _take_down(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        at, levels = time.monotonic(), message.topic.split("/")
        with self.news:
            if levels[-1] == "history":
                record = json.loads(message.payload)
                self.receipts.append(
                    Receipt(
                        at=at,
                        node=levels[-3],
                        source=levels[-2],
                        seq=int(record["seq"]),
                        text=plain(record),
                        backfilled=bool(record.get("backfilled")),
                    )
                )
            else:
                self.heard.append(_heard(at, levels, message))
            self.news.notify_all()


def _heard(at: float, levels: list[str], message: MQTTMessage) -> Heard:
    if levels[-1] == "config":
        node, source = levels[-2], ""
    else:
        node, source = levels[1], levels[2] if len(levels) > 3 else ""
    return Heard(
        at=at,
        wall=time.time(),
        node=node,
        source=source,
        kind=levels[-1],
        payload=bytes(message.payload),
        retain=message.retain,
        expiry_s=getattr(message.properties, "MessageExpiryInterval", None),
    )

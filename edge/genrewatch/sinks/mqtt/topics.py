"""Where each thing that a node says goes, and how: topic, quality of service, whether the broker keeps it."""

from dataclasses import dataclass

from genrewatch.contract.payload import SCHEMA_VERSION
from genrewatch.sinks.mqtt.link import Message

ONLINE, OFFLINE = b"online", b"offline"
ON, OFF = b"ON", b"OFF"


@dataclass(frozen=True, kw_only=True)
class Topics:
    """The messages of one node."""

    root: str
    """`<base>/<node>`."""
    node: str
    discovery_prefix: str
    """Home Assistant's."""

    def status(self, word: bytes) -> Message:
        """Whether the node is there: birth, will and farewell."""
        return Message(topic=f"{self.root}/status", payload=word, qos=1, retain=True)

    def availability(self, source: str, online: bool) -> Message:
        """Whether sound arrives from a source."""
        word = ONLINE if online else OFFLINE
        return Message(topic=f"{self.root}/{source}/availability", payload=word, qos=1, retain=True)

    def listen(self, source: str, on: bool) -> Message:
        """Whether a source is listened to at all."""
        return Message(topic=f"{self.root}/{source}/listen", payload=ON if on else OFF, qos=1, retain=True)

    def state(self, source: str, payload: bytes, *, retain: bool, expiry_s: int) -> Message:
        """A verdict, to be forgotten when it expires."""
        topic, schema = f"{self.root}/{source}/state", _schema("state")
        return Message(topic=topic, payload=payload, qos=1, retain=retain, schema=schema, expiry_s=expiry_s)

    def event(self, source: str, payload: bytes) -> Message:
        """Something has happened now."""
        return Message(topic=f"{self.root}/{source}/event", payload=payload, qos=1, schema=_schema("event"))

    def votes(self, source: str, payload: bytes) -> Message:
        """One segment."""
        return Message(topic=f"{self.root}/{source}/votes", payload=payload, qos=0, schema=_schema("votes"))

    def history(self, source: str, payload: bytes) -> Message:
        """A record of the history."""
        return Message(topic=f"{self.root}/{source}/history", payload=payload, qos=1, schema=_schema("history"))

    def health(self, payload: bytes) -> Message:
        """Diagnostics."""
        return Message(topic=f"{self.root}/health", payload=payload, qos=0, schema=_schema("health"))

    def discovery(self, payload: bytes) -> Message:
        """What Home Assistant makes of all this."""
        topic = f"{self.discovery_prefix}/device/{self.node}/config"
        return Message(topic=topic, payload=payload, qos=1, retain=True, schema="homeassistant/device")

    def forgotten(self, source: str) -> list[Message]:
        """Takes back what the broker keeps of a source."""
        topics = [f"{self.root}/{source}/{last}" for last in ("availability", "listen", "state")]
        return [Message(topic=topic, payload=b"", qos=1, retain=True) for topic in topics]

    @property
    def listen_commands(self) -> str:
        """Subscription to the switches of all sources."""
        return f"{self.root}/+/listen/set"

    @property
    def bundle_command(self) -> str:
        """Subscription to the choice of a model."""
        return f"{self.root}/bundle/set"

    @property
    def home_assistant_status(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self.discovery_prefix}/status"


def _schema(name: str) -> str:
    return f"genrewatch/{name}/{SCHEMA_VERSION}"

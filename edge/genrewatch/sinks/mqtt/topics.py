"""The messages of a node: topic, quality of service, retained or not."""

from dataclasses import dataclass

from genrewatch.contract.payload import SCHEMA_VERSION
from genrewatch.sinks.mqtt.client import Message

ONLINE, OFFLINE = b"online", b"offline"
ON, OFF = b"ON", b"OFF"


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Makes the messages of one node."""

    root: str
    """`<base>/<node>`."""
    node: str
    discovery_prefix: str
    """First level or levels of Home Assistant's topics."""

    def status(self, word: bytes) -> Message:
        """Return the status of the node: birth, will and last message, `online` or `offline`."""
        return Message(topic=f"{self.root}/status", payload=word, qos=1, retain=True)

    def availability(self, source: str, online: bool) -> Message:
        """Return whether sound arrives from a source."""
        word = ONLINE if online else OFFLINE
        return Message(topic=f"{self.root}/{source}/availability", payload=word, qos=1, retain=True)

    def listen(self, source: str, on: bool) -> Message:
        """Return the state of a source's switch."""
        return Message(topic=f"{self.root}/{source}/listen", payload=ON if on else OFF, qos=1, retain=True)

    def state(self, source: str, payload: bytes, *, retain: bool, expiry_s: int) -> Message:
        """Return a verdict that expires."""
        topic, schema = f"{self.root}/{source}/state", _schema("state")
        return Message(topic=topic, payload=payload, qos=1, retain=retain, schema=schema, expiry_s=expiry_s)

    def event(self, source: str, payload: bytes) -> Message:
        """Return an event."""
        return Message(topic=f"{self.root}/{source}/event", payload=payload, qos=1, schema=_schema("event"))

    def votes(self, source: str, payload: bytes) -> Message:
        """Return the votes of a segment."""
        return Message(topic=f"{self.root}/{source}/votes", payload=payload, qos=0, schema=_schema("votes"))

    def history(self, source: str, payload: bytes) -> Message:
        """Return a record of the history."""
        return Message(topic=f"{self.root}/{source}/history", payload=payload, qos=1, schema=_schema("history"))

    def health(self, payload: bytes) -> Message:
        """Return the diagnostics of the node."""
        return Message(topic=f"{self.root}/health", payload=payload, qos=0, schema=_schema("health"))

    def discovery(self, payload: bytes) -> Message:
        """Return the discovery of the node; an empty payload deletes it."""
        topic = f"{self.discovery_prefix}/device/{self.node}/config"
        return Message(topic=topic, payload=payload, qos=1, retain=True, schema="homeassistant/device")

    def deletions(self, source: str) -> list[Message]:
        """Return messages that delete everything retained of a source."""
        topics = [f"{self.root}/{source}/{last}" for last in ("availability", "listen", "state")]
        return [Message(topic=topic, payload=b"", qos=1, retain=True) for topic in topics]

    @property
    def listen_commands(self) -> str:
        """Topic filter of the commands that switch sources."""
        return f"{self.root}/+/listen/set"

    @property
    def bundle_command(self) -> str:
        """Topic of the command that changes the bundle."""
        return f"{self.root}/bundle/set"

    @property
    def home_assistant_status(self) -> str:
        """Topic of Home Assistant's own birth and will."""
        return f"{self.discovery_prefix}/status"


def _schema(name: str) -> str:
    return f"genrewatch/{name}/{SCHEMA_VERSION}"

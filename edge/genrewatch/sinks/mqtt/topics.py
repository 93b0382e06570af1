"""The messages of a node: topic, quality of service, retained or not."""

from collections.abc import Iterable
from dataclasses import dataclass

from genrewatch.contract.payload import SCHEMA_VERSION
from genrewatch.inference.settings import SETTING_KEYS
from genrewatch.sinks.mqtt.message import Message

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

    def setting(self, source: str, key: str, value: str) -> Message:
        """Return the value of a setting that commands can change."""
        topic = f"{self.root}/{source}/setting/{key}"
        return Message(topic=topic, payload=value.encode(), qos=1, retain=True)

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

    def correction(self, source: str, payload: bytes) -> Message:
        """Return a correction of a spell, a record of the same hash chain."""
        return Message(topic=f"{self.root}/{source}/correction", payload=payload, qos=1, schema=_schema("correction"))

    def health(self, payload: bytes) -> Message:
        """Return the diagnostics of the node."""
        return Message(topic=f"{self.root}/health", payload=payload, qos=0, schema=_schema("health"))

    def discovery(self, payload: bytes) -> Message:
        """Return the discovery of the node; an empty payload deletes it."""
        topic = f"{self.discovery_prefix}/device/{self.node}/config"
        return Message(topic=topic, payload=payload, qos=1, retain=True, schema="homeassistant/device")

    def source_discovery(self, source: str, payload: bytes) -> Message:
        """Return the discovery of a source; an empty payload deletes it."""
        topic = f"{self.discovery_prefix}/device/{self.node}/{source}/config"
        return Message(topic=topic, payload=payload, qos=1, retain=True, schema="homeassistant/device")

    def deletions(self, source: str) -> list[Message]:
        """Return messages that delete everything retained of a source."""
        topics = [f"{self.root}/{source}/{last}" for last in ("availability", "listen", "state")]
        topics += [self.setting(source, key, "").topic for key in SETTING_KEYS]
        topics.append(self.source_discovery(source, b"").topic)
        return [Message(topic=topic, payload=b"", qos=1, retain=True) for topic in topics]

    def retained_topics(self, sources: Iterable[str]) -> list[str]:
        """Return every topic that may hold a retained message of this node or of `sources`."""
        of_sources = [message.topic for source in sources for message in self.deletions(source)]
        return [self.status(ONLINE).topic, self.discovery(b"").topic, *of_sources]

    def retained_filters(self, *, discovery: bool) -> list[str]:
        """Return filters of the retained topics that other clients must not publish on."""
        own = [self.status(ONLINE).topic]
        own += [f"{self.root}/+/{last}" for last in ("availability", "listen", "setting/+")]
        found = [self.discovery(b"").topic, self.source_discovery("+", b"").topic] if discovery else []
        return own + found

    def is_retained(self, topic: str) -> bool:
        """Return True for a topic that `retained_filters` match."""
        last = topic.rpartition("/")[2]
        if topic.startswith(self.root + "/"):
            if "/setting/" in topic:
                return last != "set"
            return last in ("availability", "listen") or topic == self.status(ONLINE).topic
        return topic.startswith(f"{self.discovery_prefix}/device/{self.node}/")

    def listen_commands_of(self, source: str) -> str:
        """Return the topic of the commands that switch one source."""
        return f"{self.root}/{source}/listen/set"

    @property
    def listen_commands(self) -> str:
        """Topic filter of the commands that switch sources."""
        return f"{self.root}/+/listen/set"

    def correct_command_of(self, source: str) -> str:
        """Return the topic of the commands that correct a spell of one source."""
        return f"{self.root}/{source}/correct/set"

    @property
    def correct_commands(self) -> str:
        """Topic filter of the commands that correct spells, where the configuration allows it."""
        return f"{self.root}/+/correct/set"

    def setting_commands_of(self, source: str, key: str) -> str:
        """Return the topic of the commands that change one setting of a source."""
        return f"{self.setting(source, key, '').topic}/set"

    @property
    def setting_commands(self) -> str:
        """Topic filter of the commands that change settings, where the configuration allows it."""
        return f"{self.root}/+/setting/+/set"

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

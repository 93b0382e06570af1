"""What others may tell a node over MQTT: to listen to a source or not, and, where it is allowed, with which model.

Whatever is not exactly such a command, or was kept by the broker from an earlier time, is ignored and counted.
"""

from collections.abc import Collection
from typing import Protocol

from genrewatch.contract.ids import is_id
from genrewatch.sinks.mqtt.link import Received
from genrewatch.sinks.mqtt.topics import OFF, ON, Topics

LONGEST = 256
"""Bytes of a command; nothing that we understand is longer."""


class Commands(Protocol):
    """Who obeys. Called from the connection's thread, so it must not wait."""

    def set_listening(self, source_id: str, on: bool) -> None:
        """Listen to a source, or stop its child and read no sound of it."""

    def set_bundle(self, name: str) -> None:
        """Use another model."""

    def publish_health(self) -> None:
        """Say how the node is: somebody has come who does not know."""


class Inbox:
    """Sorts what comes in."""

    def __init__(self, topics: Topics, sources: Collection[str]) -> None:
        self._topics, self._sources = topics, sources
        self.obeyed = self.ignored = 0
        self.commands: Commands | None = None
        """Nobody obeys before this is set."""

    def take(self, received: Received) -> None:
        """Obeys or ignores one message."""
        if self.commands is not None and not received.retain and len(received.payload) <= LONGEST:
            if received.topic == self._topics.bundle_command:
                return self._bundle(received.payload, self.commands)
            source = received.topic.removeprefix(self._topics.root + "/").removesuffix("/listen/set")
            if source in self._sources and received.payload in (ON, OFF):
                self.obeyed += 1
                return self.commands.set_listening(source, received.payload == ON)
        self.ignored += 1
        return None

    def _bundle(self, payload: bytes, commands: Commands) -> None:
        name = payload.decode("ascii", errors="replace")
        if is_id(name):
            self.obeyed += 1
            commands.set_bundle(name)
        else:
            self.ignored += 1

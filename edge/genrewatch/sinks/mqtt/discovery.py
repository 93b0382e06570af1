"""What of this node Home Assistant is told, and what must be taken back because the configuration has changed.

What was told is remembered, so that a source that has left the configuration leaves Home Assistant and the broker too.
"""

import json
from collections.abc import Mapping

from genrewatch import __version__
from genrewatch.contract.bundle import Manifest
from genrewatch.host.persistent_state import PersistentState
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.home_assistant import Box, discovery, platforms
from genrewatch.sinks.mqtt.link import Message
from genrewatch.sinks.mqtt.topics import Topics

COMPONENTS, SOURCES = "components", "sources"


class Discovery:
    """The discovery messages of one node."""

    def __init__(
        self,
        config: MqttConfig,
        topics: Topics,
        names: Mapping[str, str],
        persistent_state: PersistentState,
        *,
        health_s: float,
    ) -> None:
        """`names`: source id to its name for people; `health_s`: seconds from one health message to the next."""
        self._config, self._topics, self._names, self._persistent_state = config, topics, names, persistent_state
        self._health_expire_s = max(config.expire_after_s, round(4 * health_s))
        self._told: dict[str, str] = {}

    def messages(self, manifest: Manifest) -> list[Message]:
        """The payload; before it, if something has gone since it was last sent, one that takes that away."""
        if not self._config.discovery:
            return []
        box = self._box(manifest)
        present = discovery(box)
        self._told = platforms(present)
        before: dict[str, str] = self._persistent_state.get(COMPONENTS, {})
        gone = {key: platform for key, platform in before.items() if key not in self._told}
        payloads = [discovery(box, gone), present] if gone else [present]
        return [self._topics.discovery(json.dumps(payload, ensure_ascii=False).encode()) for payload in payloads]

    def forgotten(self) -> list[Message]:
        """Takes back what the broker keeps of sources that have left the configuration, or of all discovery."""
        before: list[str] = self._persistent_state.get(SOURCES, [])
        gone = [message for source in before if source not in self._names for message in self._topics.forgotten(source)]
        if not self._config.discovery and self._persistent_state.get(COMPONENTS, {}):
            gone.append(self._topics.discovery(b""))
        return gone

    def done(self) -> None:
        """All of this has been sent."""
        self._persistent_state.put(COMPONENTS, self._told)
        self._persistent_state.put(SOURCES, sorted(self._names))

    def _box(self, manifest: Manifest) -> Box:
        return Box(
            node=self._topics.node,
            root=self._topics.root,
            name=f"genrewatch {self._topics.node}",
            labels=manifest.labels,
            sources=self._names,
            version=__version__,
            expire_after_s=self._config.expire_after_s,
            health_expire_s=self._health_expire_s,
        )

"""Home Assistant's discovery of this node, and the retained messages to delete after a change of the configuration.

The published components and sources are kept in the persistent state, so that a source that has left the configuration
is deleted in Home Assistant and at the broker.
"""

import json
from collections.abc import Mapping

from genrewatch import __version__
from genrewatch.contract.bundle import Manifest
from genrewatch.host.persistent_state import PersistentState
from genrewatch.sinks.mqtt.client import Message
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.home_assistant import Device, discovery, platforms
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
        """`names`: display names by source id; `health_s`: seconds between health messages."""
        self._config, self._topics, self._names, self._persistent_state = config, topics, names, persistent_state
        self._health_expire_s = max(config.expire_after_s, round(4 * health_s))
        self._published: dict[str, str] = {}

    @property
    def enabled(self) -> bool:
        """True if this node is announced to Home Assistant."""
        return self._config.discovery

    def messages(self, manifest: Manifest) -> list[Message]:
        """Return the discovery message; before it, if components are gone since the last one, one that removes them."""
        if not self.enabled:
            return []
        device = self._device(manifest)
        present = discovery(device)
        self._published = platforms(present)
        before: dict[str, str] = self._persistent_state.get(COMPONENTS, {})
        gone = {key: platform for key, platform in before.items() if key not in self._published}
        payloads = [discovery(device, gone), present] if gone else [present]
        return [self._topics.discovery(json.dumps(payload, ensure_ascii=False).encode()) for payload in payloads]

    def removals(self) -> list[Message]:
        """Return messages that delete what the broker retains of removed sources, or of a discovery now disabled."""
        before: list[str] = self._persistent_state.get(SOURCES, [])
        gone = [message for source in before if source not in self._names for message in self._topics.deletions(source)]
        if not self.enabled and self._persistent_state.get(COMPONENTS, {}):
            gone.append(self._topics.discovery(b""))
        return gone

    def save(self) -> None:
        """Keep what is published in the persistent state."""
        self._persistent_state.put(COMPONENTS, self._published)
        self._persistent_state.put(SOURCES, sorted(self._names))

    def _device(self, manifest: Manifest) -> Device:
        return Device(
            node=self._topics.node,
            root=self._topics.root,
            name=f"genrewatch {self._topics.node}",
            labels=manifest.labels,
            sources=self._names,
            version=__version__,
            expire_after_s=self._config.expire_after_s,
            health_expire_s=self._health_expire_s,
        )

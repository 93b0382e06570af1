"""Home Assistant's discovery of this node, and the retained messages to delete after a change of the configuration.

The published components and sources are kept in the persistent state, so that a source that has left the configuration
is deleted in Home Assistant and at the broker.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from genrewatch import __version__
from genrewatch.contract.bundle import Manifest
from genrewatch.host.persistent_state import PersistentState
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.home_assistant import Announcement, Device, discovery, platforms, source_discovery
from genrewatch.sinks.mqtt.message import Message
from genrewatch.sinks.mqtt.topics import Topics

COMPONENTS, DEVICES, SOURCES, SETTABLE = "components", "devices", "sources", "settable"
"""Keys of the persistent state."""
NODE = ""
"""The node among the devices, which the others are named after."""
REMOVED_AT_ONCE = 40
"""Removed components in one message."""


class Payload(Protocol):
    """Makes the payload of a device."""

    def __call__(self, removed: Mapping[str, str] = ..., /) -> dict[str, Any]:
        """Return the payload, with components to remove."""


class Discovery:
    """The discovery messages of one node and its sources."""

    def __init__(
        self,
        config: MqttConfig,
        topics: Topics,
        names: Mapping[str, str],
        persistent_state: PersistentState,
        *,
        health_s: float,
        announcement: Announcement,
    ) -> None:
        """`names`: display names by source id; `health_s`: seconds between health messages."""
        self._config, self._topics, self._names, self._persistent_state = config, topics, names, persistent_state
        self._health_expire_s = max(config.expire_after_s, round(4 * health_s))
        self.announcement = announcement
        """The facts from the configuration and the machine."""
        self._published: dict[str, dict[str, str]] = {}
        self._configured: set[str] = set()  # sources since the last save: the broker may retain something of them

    @property
    def enabled(self) -> bool:
        """True if this node is announced to Home Assistant."""
        return self._config.discovery

    def messages(self, manifest: Manifest) -> list[Message]:
        """Return the discovery of the node and of each source.

        Components that are gone since the last discovery are first sent with their platform only.
        """
        if not self.enabled:
            return []
        device, before = self._device(manifest), self._before()
        make: dict[str, Payload] = {NODE: partial(discovery, device)}
        make |= {source: partial(source_discovery, device, source) for source in self._names}
        found, self._published = [], {}
        for name, payload in make.items():
            present = payload()
            self._published[name] = platforms(present)
            gone = sorted(before.get(name, {}).items() - self._published[name].items())
            for start in range(0, len(gone), REMOVED_AT_ONCE):
                found.append(self._message(name, payload(dict(gone[start : start + REMOVED_AT_ONCE]))))
            found.append(self._message(name, present))
        return found

    def removals(self) -> list[Message]:
        """Return messages that delete what the broker retains of removed sources and settings, or of a discovery now
        disabled."""
        before = sorted({*self._persistent_state.get(SOURCES, []), *self._configured})
        self._configured.update(self._names)
        gone = [message for source in before if source not in self._names for message in self._topics.deletions(source)]
        settable: list[str] = self._persistent_state.get(SETTABLE, [])
        kept = [source for source in before if source in self._names]
        for key in (key for key in settable if key not in self._config.settable):
            gone += [self._topics.setting(source, key, "") for source in kept]
        if not self.enabled:
            published = [name for name, components in self._before().items() if components]
            gone += [self._message(name, None) for name in published if name == NODE or name in self._names]
        return gone

    def save(self) -> None:
        """Keep what is published in the persistent state."""
        self._persistent_state.put(DEVICES, self._published)
        self._persistent_state.put(COMPONENTS, {})
        self._persistent_state.put(SOURCES, sorted(self._names))
        self._configured = set(self._names)
        self._persistent_state.put(SETTABLE, list(self._config.settable))

    def _before(self) -> dict[str, dict[str, str]]:
        """Return the platform of each component by device, as last published; one device had all until 0.2."""
        before: dict[str, dict[str, str]] = self._persistent_state.get(DEVICES, {})
        one_device: dict[str, str] = self._persistent_state.get(COMPONENTS, {})
        return before or {NODE: one_device}

    def _message(self, name: str, payload: dict[str, Any] | None) -> Message:
        content = b"" if payload is None else json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        return self._topics.discovery(content) if name == NODE else self._topics.source_discovery(name, content)

    def _device(self, manifest: Manifest) -> Device:
        return Device(
            node=self._topics.node,
            root=self._topics.root,
            name=self._config.device_name or f"genrewatch {self._topics.node}",
            labels=manifest.labels,
            sources=self._names,
            version=__version__,
            expire_after_s=self._config.expire_after_s,
            health_expire_s=self._health_expire_s,
            settable=self._config.settable,
            announcement=self.announcement,
        )

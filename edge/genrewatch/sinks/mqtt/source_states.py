"""The published state of each source: what changed, when a heartbeat is due, and when a state has expired."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from genrewatch.contract.bundle import Manifest
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.settings import Value
from genrewatch.sinks.mqtt.config import MqttConfig, check_id
from genrewatch.sinks.mqtt.message import Message
from genrewatch.sinks.mqtt.payload import NoSound, Payloads, no_sound_fields
from genrewatch.sinks.mqtt.topics import Topics
from genrewatch.sources.source import NowPlaying

Key = tuple[Any, ...]
"""The fields of a state whose change is published at once."""


class Publisher(Protocol):
    """The part of a `Connection` that states are published through."""

    @property
    def protocol(self) -> str | None:
        """`5` or `3.1.1` while connected, else None."""

    def publish(self, message: Message) -> object:
        """Publish a message, or drop it."""


@dataclass(kw_only=True)
class SourceState:
    """The messages last published for a source."""

    model: Manifest
    online: bool | None = None
    disabled: bool | None = None
    settings: Mapping[str, Value] = field(default_factory=dict)
    fields: Mapping[str, Any] | None = None
    playing: NowPlaying = NowPlaying()
    key: Key | None = None
    since: str = ""
    payload: bytes | None = None
    made: float = 0.0
    """When `payload` was made, monotonic clock."""


class SourceStates:
    """Publishes the availability, the switch and the state of each source.

    Only the newest state of each source is kept. Field `seq` numbers the states of a node: no number is used twice, and
    states that could not be published leave gaps.
    """

    def __init__(
        self,
        config: MqttConfig,
        topics: Topics,
        payloads: Payloads,
        connection: Publisher,
        *,
        model: Manifest,
        persistent_state: PersistentState,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._topics, self._payloads, self._connection = config, topics, payloads, connection
        self._persistent_state, self._monotonic = persistent_state, monotonic
        self._sources: dict[str, SourceState] = {}
        self.model = model
        """The model of the newest stream; at first the one that the daemon starts with."""
        self.lock = threading.RLock()
        """Held while the messages of one change are published, so that those of another do not come between them."""

    def __getitem__(self, source_id: str) -> SourceState:
        """Return the state of a source; raises ConfigError for an id that cannot be part of a topic."""
        with self.lock:
            if source_id not in self._sources:
                self._sources[check_id(source_id, "source")] = SourceState(model=self.model)
            return self._sources[source_id]

    def remove(self, source_id: str) -> None:
        """Forget a source that has left the configuration."""
        with self.lock:
            self._sources.pop(source_id, None)

    def take_over(self, before: "SourceStates") -> None:
        """Go on with the states that another connection has published."""
        with before.lock, self.lock:
            self._sources, self.model = dict(before._sources), before.model

    def knows(self, source_id: str) -> bool:
        """Return whether there was a state of this source."""
        source = self._sources.get(source_id)
        return source is not None and source.fields is not None

    def set_model(self, source_id: str, model: Manifest) -> None:
        """Set the model that classifies a source from now on."""
        with self.lock:
            self[source_id].model = self.model = model

    def set_online(self, source_id: str, online: bool) -> None:
        """Publish whether sound arrives from a source, if that has changed."""
        with self.lock:
            source = self[source_id]
            if source.online is not online:
                source.online = online
                self._connection.publish(self._topics.availability(source_id, online))

    def set_disabled(self, source_id: str, disabled: bool) -> None:
        """Publish the switch of a source."""
        with self.lock:
            self[source_id].disabled = disabled
            self._connection.publish(self._topics.listen(source_id, not disabled))

    def set_settings(self, source_id: str, settings: Mapping[str, Value]) -> None:
        """Publish the settings that commands can change."""
        with self.lock:
            self[source_id].settings = dict(settings)
            self._publish_settings(source_id, self[source_id])

    def set_playing(self, source_id: str, playing: NowPlaying) -> None:
        """Set the station and title of the next state, and publish that at once if there was a state before."""
        with self.lock:
            source = self[source_id]
            source.playing = playing
            if source.fields is not None:
                self.update(source_id, source.fields)

    def publish_no_sound(self, source_id: str, reason: NoSound) -> None:
        """Publish the state of a source that gives no sound, like `update`; station and title are unknown."""
        with self.lock:
            source = self[source_id]
            source.playing = NowPlaying()
            self.update(source_id, no_sound_fields(reason, source.fields))

    def update(self, source_id: str, fields: Mapping[str, Any]) -> None:
        """Publish a state if it differs from the last or the last is a heartbeat old."""
        with self.lock:
            source, now = self[source_id], self._monotonic()
            source.fields = fields
            key: Key = (fields["genre"], fields["reason"], fields["dead_air"], source.playing)
            if key == source.key and now - source.made < self._config.heartbeat_s:
                return
            ts, seq = self._payloads.stamp(), self._persistent_state.number("state_seq")
            if source.key is None or _subject(key) != _subject(source.key):
                source.since = ts
            source.key, source.made = key, now
            source.payload = self._payloads.state(
                source_id, seq, fields, source.playing, source.model, ts=ts, since=source.since
            )
            self._publish_state(source_id, source)

    def publish_retained(self) -> None:
        """Publish the switch, the settings and the availability of every source again."""
        with self.lock:
            for source_id, source in self._sources.items():
                self._publish_settings(source_id, source)
                if source.disabled is not None:
                    self._connection.publish(self._topics.listen(source_id, not source.disabled))
                if source.online is not None:
                    self._connection.publish(self._topics.availability(source_id, source.online))

    def publish_states(self) -> None:
        """Publish the newest state of every source again, except those that have expired."""
        with self.lock:
            for source_id, source in self._sources.items():
                self._publish_state(source_id, source)

    def offline_messages(self) -> list[Message]:
        """Return the messages that announce every source that is online as offline."""
        with self.lock:
            online = [source_id for source_id, source in self._sources.items() if source.online]
            return [self._topics.availability(source_id, False) for source_id in online]

    def _publish_settings(self, source_id: str, source: SourceState) -> None:
        for key, value in source.settings.items():
            self._connection.publish(self._topics.setting(source_id, key, str(value)))

    def _publish_state(self, source_id: str, source: SourceState) -> None:
        left_s = int(self._config.expire_after_s - (self._monotonic() - source.made))
        if source.payload is not None and left_s >= 1:
            retain = self._connection.protocol == "5"  # MQTT 3.1.1 has no expiry: a retained state would never go
            self._connection.publish(self._topics.state(source_id, source.payload, retain=retain, expiry_s=left_s))


def _subject(key: Key) -> str | None:
    """Return what `since` dates: the genre, or the reason why there is none."""
    genre, reason, *_ = key
    return reason if genre is None else f"genre {genre}"

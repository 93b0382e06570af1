"""Says over MQTT what is playing: `status`, `availability`, `state`, `votes` and `health`.

    <base>/<node>/status                  online / offline: birth, last will and farewell, retained
    <base>/<node>/<source>/availability   online / offline, retained
    <base>/<node>/<source>/state          JSON; on a change of genre or reason, and every heartbeat
    <base>/<node>/<source>/votes          JSON; each segment, if wanted
    <base>/<node>/health                  JSON

Nothing waits for the broker. While there is none, only the newest state of each source is kept, and sent when a
connection is there, unless it has expired by then; votes and health are dropped and counted.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edge.pipeline import SegmentResult
from edge.sinks.mqtt_config import MqttConfig, check_id, tls_context
from edge.sinks.mqtt_connection import Backoff, Connection
from edge.sinks.mqtt_link import Message
from edge.sinks.mqtt_payload import (
    HEALTH_SCHEMA,
    STATE_SCHEMA,
    VOTES_SCHEMA,
    Key,
    Writer,
    heard_fields,
    stalled_fields,
    utc_now,
)
from edge.sources import NowPlaying

__all__ = ["Backoff", "MqttConfig", "MqttSink"]

ONLINE, OFFLINE = b"online", b"offline"
FAREWELL_S = 3.0


@dataclass(kw_only=True)
class _Source:
    """What was last said of a source."""

    online: bool | None = None
    key: Key | None = None
    since: str = ""
    heard: Mapping[str, Any] | None = None
    playing: NowPlaying = NowPlaying()
    state: bytes | None = None
    made: float = 0.0
    """When `state` was made, on the monotonic clock."""


class MqttSink:
    """Publishes the verdicts of one node's sources; any thread may call any method.

    `seq` numbers the states that this object makes, from 1; those that an absent broker missed leave gaps.
    """

    def __init__(
        self,
        config: MqttConfig,
        node: str,
        labels: Sequence[str],
        model_name: str,
        model_version: str,
        *,
        names: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        backoff: Backoff | None = None,
    ) -> None:
        """Raises ConfigError for a node id, a url or a TLS file that cannot work."""
        self._config, self._monotonic = config, monotonic
        self._root = f"{config.base}/{check_id(node, 'node')}"
        self._writer = Writer(
            node=node,
            labels=tuple(labels),
            model_name=model_name,
            model_version=model_version,
            top_k=config.top_k,
            names=names or {},
            clock=clock,
        )
        self._sources: dict[str, _Source] = {}
        self._seq = self._dropped = 0
        self._lock = threading.RLock()
        self._connection = Connection(
            config,
            client_id=node,
            will=self._status(OFFLINE),
            on_birth=self._birth,
            tls=tls_context(config),
            backoff=backoff or Backoff(),
        )

    @property
    def protocol(self) -> str | None:
        """`5` or `3.1.1` while connected, else None."""
        return self._connection.protocol

    @property
    def dropped(self) -> int:
        """Messages that found no broker; those said again later are counted too."""
        return self._dropped

    def start(self) -> None:
        """Begins to connect, and returns at once; an absent broker is no error."""
        self._connection.start()

    def publish_online(self, source_id: str, online: bool, why: str) -> None:
        """See `Sink`; `why` is for people and stays here. Raises ConfigError for an id that cannot be in a topic."""
        with self._lock:
            known = self._source(source_id)
            if known.online is not online:
                known.online = online
                self._send(self._availability(source_id, online))

    def publish_result(self, source_id: str, result: SegmentResult) -> None:
        """Says what a segment changed: its votes, and the state if that is new or a heartbeat is due."""
        with self._lock:
            self._tell(source_id, heard_fields(result))
            if self._config.votes:
                topic, payload = f"{self._root}/{source_id}/votes", self._writer.votes(source_id, result)
                self._send(Message(topic=topic, payload=payload, qos=0, schema=VOTES_SCHEMA))

    def publish_playing(self, source_id: str, playing: NowPlaying) -> None:
        """Says with the next state, and at once if there is one, what the station says of itself."""
        with self._lock:
            known = self._source(source_id)
            known.playing = playing
            if known.heard is not None:
                self._tell(source_id, known.heard)

    def publish_stalled(self, source_id: str) -> None:
        """Says that a source gives no sound: call it as often as you like, it speaks like `publish_result`."""
        with self._lock:
            known = self._source(source_id)
            known.playing = NowPlaying()
            self._tell(source_id, stalled_fields(known.heard))

    def publish_health(self, health: Mapping[str, Any]) -> None:
        """Says how the node and this connection are; `health` must be what JSON can hold."""
        with self._lock:
            mqtt = {"protocol": self.protocol, "connections": self._connection.links, "dropped": self._dropped}
            topic, payload = f"{self._root}/health", self._writer.health({**health, "mqtt": mqtt})
            self._send(Message(topic=topic, payload=payload, qos=0, schema=HEALTH_SCHEMA))

    def close(self) -> None:
        """Says `offline` for every source and the node, waits for the broker to have it, and leaves; under 5 s."""
        with self._lock:
            farewell = [self._availability(name, False) for name, known in self._sources.items() if known.online]
        self._connection.close([*farewell, self._status(OFFLINE)], timeout_s=FAREWELL_S)

    def _tell(self, source: str, heard: Mapping[str, Any]) -> None:
        """Makes and sends a state if it differs from the last or the last is a heartbeat old."""
        known, now = self._source(source), self._monotonic()
        key: Key = (heard["genre"], heard["reason"], heard["dead_air"], known.playing)
        known.heard = heard
        if key == known.key and now - known.made < self._config.heartbeat_s:
            return
        self._seq += 1
        ts = self._writer.stamp()
        if known.key is None or _subject(key) != _subject(known.key):
            known.since = ts
        known.key, known.made = key, now
        known.state = self._writer.state(source, self._seq, heard, known.playing, ts=ts, since=known.since)
        self._send_state(source, known)

    def _birth(self) -> None:
        """On every new connection: the node, its sources, and what still holds of their states."""
        with self._lock:
            self._send(self._status(ONLINE))
            for name, known in self._sources.items():
                if known.online is not None:
                    self._send(self._availability(name, known.online))
            for name, known in self._sources.items():
                self._send_state(name, known)

    def _send_state(self, source: str, known: _Source) -> None:
        """Sends the newest state, to be forgotten when it expires; one that has expired is not sent."""
        left_s = int(self._config.expire_after_s - (self._monotonic() - known.made))
        if known.state is None or left_s < 1:
            return
        topic, retain = f"{self._root}/{source}/state", self._connection.protocol == "5"
        self._send(
            Message(topic=topic, payload=known.state, qos=1, retain=retain, schema=STATE_SCHEMA, expiry_s=left_s)
        )

    def _send(self, message: Message) -> None:
        if self._connection.publish(message) is None:
            self._dropped += 1

    def _source(self, source: str) -> _Source:
        if source not in self._sources:
            self._sources[check_id(source, "source")] = _Source()
        return self._sources[source]

    def _status(self, word: bytes) -> Message:
        return Message(topic=f"{self._root}/status", payload=word, qos=1, retain=True)

    def _availability(self, source: str, online: bool) -> Message:
        word = ONLINE if online else OFFLINE
        return Message(topic=f"{self._root}/{source}/availability", payload=word, qos=1, retain=True)


def _subject(key: Key) -> str | None:
    """What `since` dates: the genre, or why there is none."""
    genre, reason, *_ = key
    return reason if genre is None else f"genre {genre}"

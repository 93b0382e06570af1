"""Says over MQTT what is playing, tells Home Assistant what there is, and obeys a few commands.

    <base>/<node>/status                  online / offline: birth, last will and farewell, retained
    <base>/<node>/<source>/availability   online / offline, retained
    <base>/<node>/<source>/listen         ON / OFF, retained; `listen/set` changes it
    <base>/<node>/<source>/state          JSON; on a change of genre or reason, and every heartbeat
    <base>/<node>/<source>/event          JSON; when something happens
    <base>/<node>/<source>/votes          JSON; each segment, if wanted
    <base>/<node>/<source>/history        JSON; each spell, sent until the broker has it
    <base>/<node>/health                  JSON
    <prefix>/device/<node>/config         Home Assistant's discovery, retained

Nothing waits for the broker. While there is none, only the newest state of each source is kept, and sent when a
connection is there, unless it has expired by then; events, votes and health are dropped and counted. The history
waits in the outbox.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from paho.mqtt.client import MQTTMessageInfo

from genrewatch.contract.bundle import Manifest
from genrewatch.host.persistent_state import PersistentState
from genrewatch.host.times import utc_now
from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.sinks.events import Changes, Event
from genrewatch.sinks.mqtt.commands import Commands, Inbox
from genrewatch.sinks.mqtt.config import MqttConfig, check_id, tls_context
from genrewatch.sinks.mqtt.connection import Connection, Reconnect
from genrewatch.sinks.mqtt.discovery import Discovery
from genrewatch.sinks.mqtt.link import Message, Received
from genrewatch.sinks.mqtt.payload import Key, Writer, heard_fields, silent_fields
from genrewatch.sinks.mqtt.topics import OFFLINE, ONLINE, Topics
from genrewatch.sinks.sink import Sink
from genrewatch.sources.source import NowPlaying

__all__ = ["MqttConfig", "MqttSink", "Reconnect"]

FAREWELL_S = 3.0
AFTER_BIRTH_S = (0.5, 5.0)
"""A while, drawn at random, that Home Assistant is given after it has started, and after it has heard of us."""


@dataclass(kw_only=True)
class _Source:
    """What was last said of a source."""

    model: Manifest
    online: bool | None = None
    off: bool | None = None
    key: Key | None = None
    since: str = ""
    heard: Mapping[str, Any] | None = None
    playing: NowPlaying = NowPlaying()
    state: bytes | None = None
    made: float = 0.0
    """When `state` was made, on the monotonic clock."""


class MqttSink(Sink):
    """Publishes the verdicts of one node's sources, and is the courier of its history; any thread may call any method.

    `seq` numbers the states of a node, never the same number twice; those that an absent broker missed leave gaps.
    """

    def __init__(
        self,
        config: MqttConfig,
        node: str,
        manifest: Manifest,
        *,
        names: Mapping[str, str] | None = None,
        persistent_state: PersistentState | None = None,
        health_s: float = 30.0,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        reconnect: Reconnect | None = None,
        after_birth_s: tuple[float, float] = AFTER_BIRTH_S,
    ) -> None:
        """`manifest` is the model's at the start; `names` are those of all sources for people, by id.

        Raises ConfigError for a node id, a url or a TLS file that cannot work.
        """
        root = f"{config.base}/{check_id(node, 'node')}"
        self._config, self._monotonic, self._after_birth_s = config, monotonic, after_birth_s
        self._manifest, self._names, self._persistent_state = (
            manifest,
            dict(names or {}),
            persistent_state or PersistentState(None),
        )
        self._topics = Topics(root=root, node=node, discovery_prefix=config.discovery_prefix)
        self._writer = Writer(node=node, top_k=config.top_k, names=self._names, clock=clock)
        self._discovery = Discovery(config, self._topics, self._names, self._persistent_state, health_s=health_s)
        self._inbox = Inbox(self._topics, self._names)
        self._changes = Changes()
        self._sources: dict[str, _Source] = {}
        self._dropped, self._lock = 0, threading.RLock()
        self._born = 0  # the number of the newest link on which everything was said
        self._taken_back: list[MQTTMessageInfo | None] = [None]  # on that link; before the first, nothing arrived
        self._discovered: list[MQTTMessageInfo | None] = [None]
        self._greeting: threading.Timer | None = None
        self._on_link: Callable[[], None] = lambda: None
        self._connection = Connection(
            config,
            client_id=node,
            will=self._topics.status(OFFLINE),
            on_birth=self._birth,
            tls=tls_context(config),
            reconnect=reconnect or Reconnect(),
            subscriptions=self._subscriptions(),
            on_message=self._take,
            on_receipt=lambda: self._on_link(),
        )

    @property
    def protocol(self) -> str | None:
        """`5` or `3.1.1` while connected, else None."""
        return self._connection.protocol

    @property
    def dropped(self) -> int:
        """Messages that found no broker; those said again later are counted too."""
        return self._dropped

    @property
    def connection_number(self) -> int:
        """See `HistoryTransport`."""
        return self._connection.number

    def publish(self, source_id: str, payload: bytes) -> int | None:
        """See `HistoryTransport`."""
        return self._connection.packet_id(self._topics.history(source_id, payload))

    def acknowledgements(self) -> list[tuple[int, bool]]:
        """See `HistoryTransport`."""
        return self._connection.receipts()

    def on_wake(self, wake: Callable[[], None]) -> None:
        """`wake` is called on a new link and when `receipts` has something; it must not wait."""
        self._on_link = wake

    def obey(self, commands: Commands) -> None:
        """Commands that come in are for these."""
        self._inbox.commands = commands

    def start(self) -> None:
        """Begins to connect, and returns at once; an absent broker is no error."""
        self._connection.start()

    def on_stream(self, source_id: str, pipeline: Pipeline) -> None:
        """See `Sink`; a new model brings new labels, of which Home Assistant is told."""
        with self._lock:
            self._changes.stream(source_id)
            self._source(source_id).model = pipeline.manifest
            if pipeline.manifest.labels != self._manifest.labels:
                self._manifest = pipeline.manifest
                self._discover()
            self._manifest = pipeline.manifest

    def on_availability(self, source_id: str, online: bool, why: str) -> None:
        """See `Sink`; `why` is for people and stays here. Raises ConfigError for an id that cannot be in a topic."""
        with self._lock:
            known = self._source(source_id)
            if known.online is not online:
                known.online = online
                self._send(self._topics.availability(source_id, online))

    def on_disabled(self, source_id: str, off: bool) -> None:
        """See `Sink`."""
        with self._lock:
            known = self._source(source_id)
            known.off = off
            self._send(self._topics.listen(source_id, not off))
            if off:
                self._changes.off(source_id)
                known.playing = NowPlaying()
                self._tell(source_id, silent_fields("off", known.heard))

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """Says what a segment changed: its votes, and the state if that is new or a heartbeat is due."""
        with self._lock:
            self._tell(source_id, heard_fields(result))
            self._happen(self._changes.result(source_id, result))
            if self._config.votes:
                payload = self._writer.votes(source_id, result, self._source(source_id).model.labels)
                self._send(self._topics.votes(source_id, payload))

    def on_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """Says with the next state, and at once if there is one, what the station says of itself."""
        with self._lock:
            known = self._source(source_id)
            known.playing = playing
            self._changes.playing(source_id, playing)
            if known.heard is not None:
                self._tell(source_id, known.heard)

    def on_stalled(self, source_id: str) -> None:
        """Says that a source gives no sound: call it as often as you like, it speaks like `on_result`."""
        with self._lock:
            known = self._source(source_id)
            known.playing = NowPlaying()
            self._tell(source_id, silent_fields("stalled", known.heard))
            self._happen(self._changes.stalled(source_id))

    def on_health(self, health: Mapping[str, Any]) -> None:
        """Says how the node and this connection are; `health` must be what JSON can hold."""
        with self._lock:
            links = {"protocol": self.protocol, "connections": self._connection.links, "dropped": self._dropped}
            commands = {"commands": self._inbox.obeyed, "ignored": self._inbox.ignored}
            self._send(self._topics.health(self._writer.health({**health, "mqtt": {**links, **commands}})))

    def close(self) -> None:
        """Says `offline` for every source and the node, waits for the broker to have it, and leaves; under 5 s."""
        with self._lock:
            if self._greeting:
                self._greeting.cancel()
            online = [name for name, known in self._sources.items() if known.online]
            farewell = [self._topics.availability(name, False) for name in online]
        self._connection.close([*farewell, self._topics.status(OFFLINE)], timeout_s=FAREWELL_S)
        self._remember()  # the farewell was the last word: a broker that has it has all before it

    def _tell(self, source: str, heard: Mapping[str, Any]) -> None:
        """Makes and sends a state if it differs from the last or the last is a heartbeat old."""
        known, now = self._source(source), self._monotonic()
        key: Key = (heard["genre"], heard["reason"], heard["dead_air"], known.playing)
        known.heard = heard
        if key == known.key and now - known.made < self._config.heartbeat_s:
            return
        ts, seq = self._writer.stamp(), self._persistent_state.number("state_seq")
        if known.key is None or _subject(key) != _subject(known.key):
            known.since = ts
        known.key, known.made = key, now
        place = {"ts": ts, "since": known.since}
        known.state = self._writer.state(source, seq, heard, known.playing, known.model, **place)
        self._send_state(source, known)

    def _happen(self, events: list[Event]) -> None:
        for event in events:
            payload = self._writer.event(event, self._source(event.source).model)
            self._send(self._topics.event(event.source, payload))

    def _birth(self) -> None:
        """On every new connection: what there is, who is there, and what still holds of their states."""
        with self._lock:
            self._born = self._connection.number
            self._taken_back = [self._send(message) for message in self._discovery.forgotten()]
            self._greet()
            self._later(self._settle)
        self._on_link()

    def _settle(self) -> None:
        """A while after a birth, when the broker should have had all of it; says again what is not kept."""
        self._remember()
        if self._connection.number == self._born and self._config.discovery:
            self._repeat()  # Home Assistant subscribes a while after it has heard of a topic

    def _remember(self) -> None:
        """Forgets what was to be taken back once the broker has acknowledged it; until then it may not have got it."""
        with self._lock:
            if all(map(_arrived, [*self._taken_back, *self._discovered])):
                self._discovery.done()

    def _greet(self) -> None:
        """All that Home Assistant needs, in the order in which it needs it."""
        self._send(self._topics.status(ONLINE))
        self._discover()
        for name, known in self._sources.items():
            if known.off is not None:
                self._send(self._topics.listen(name, not known.off))
            if known.online is not None:
                self._send(self._topics.availability(name, known.online))
        self._repeat()

    def _repeat(self) -> None:
        """What no broker keeps for those who come late."""
        with self._lock:
            for name, known in self._sources.items():
                self._send_state(name, known)
        if self._inbox.commands:
            self._inbox.commands.publish_health()

    def _later(self, say: Callable[[], None]) -> None:
        """After a while, drawn at random so that not all boxes speak at once, instead of what was to be said then."""
        if self._greeting:
            self._greeting.cancel()
        self._greeting = threading.Timer(random.uniform(*self._after_birth_s), say)
        self._greeting.daemon = True
        self._greeting.start()

    def _discover(self) -> None:
        self._discovered = [self._send(message) for message in self._discovery.messages(self._manifest)]

    def _take(self, received: Received) -> None:
        """A message has come in; called from the connection's thread."""
        if received.topic != self._topics.home_assistant_status:
            self._inbox.take(received)
        elif received.payload == ONLINE and not received.retain:
            with self._lock:
                self._later(self._greet_again)

    def _greet_again(self) -> None:
        with self._lock:
            self._greet()
            self._later(self._settle)

    def _subscriptions(self) -> list[str]:
        wanted = [self._topics.listen_commands]
        wanted += [self._topics.bundle_command] if self._config.bundles else []
        return wanted + ([self._topics.home_assistant_status] if self._config.discovery else [])

    def _send_state(self, source: str, known: _Source) -> None:
        """Sends the newest state; one that has expired is not sent."""
        left_s = int(self._config.expire_after_s - (self._monotonic() - known.made))
        if known.state is not None and left_s >= 1:
            retain = self._connection.protocol == "5"
            self._send(self._topics.state(source, known.state, retain=retain, expiry_s=left_s))

    def _send(self, message: Message) -> MQTTMessageInfo | None:
        sent = self._connection.publish(message)
        if sent is None:
            self._dropped += 1
        return sent

    def _source(self, source: str) -> _Source:
        if source not in self._sources:
            self._sources[check_id(source, "source")] = _Source(model=self._manifest)
        return self._sources[source]


def _arrived(sent: MQTTMessageInfo | None) -> bool:
    """Whether the broker has acknowledged a message."""
    return sent is not None and sent.is_published()


def _subject(key: Key) -> str | None:
    """What `since` dates: the genre, or why there is none."""
    genre, reason, *_ = key
    return reason if genre is None else f"genre {genre}"

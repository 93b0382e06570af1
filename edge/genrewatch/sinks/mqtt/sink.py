"""The MQTT sink: publishes verdicts, events and diagnostics, announces the node to Home Assistant, takes commands.

    <base>/<node>/status                  online / offline: birth, will and last message, retained
    <base>/<node>/<source>/availability   online / offline, retained
    <base>/<node>/<source>/listen         ON / OFF, retained; `listen/set` changes it
    <base>/<node>/<source>/setting/<key>  text, retained; `setting/<key>/set` changes it, where that is allowed
    <base>/<node>/<source>/state          JSON; on a change of genre or reason, and every heartbeat
    <base>/<node>/<source>/event          JSON; on an event
    <base>/<node>/<source>/votes          JSON; for segments, if configured
    <base>/<node>/<source>/history        JSON; for each spell, sent again until the broker has acknowledged it
    <base>/<node>/<source>/correction     JSON; a correction of a spell, delivered like the history
    <base>/<node>/health                  JSON
    <prefix>/device/<node>/config         Home Assistant's discovery of the node, retained
    <prefix>/device/<node>/<source>/config  of a source

Nothing waits for the broker. While disconnected, only the newest state of each source is kept, and published on the
next connection unless it has expired; events, votes and health are dropped and counted. The history waits in the
outbox.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from genrewatch.contract.bundle import Manifest
from genrewatch.host.persistent_state import PersistentState
from genrewatch.host.times import utc_now
from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.inference.settings import Value
from genrewatch.sinks.events import Event, EventDetector, sample_event
from genrewatch.sinks.expectations import Expectation
from genrewatch.sinks.mqtt.birth import DELAY_S, BirthSequence
from genrewatch.sinks.mqtt.commands import CommandHandler, CommandReceiver
from genrewatch.sinks.mqtt.config import MqttConfig, check_id, tls_context
from genrewatch.sinks.mqtt.connection import Connection, ConnectionCallbacks, Reconnect, Subscriptions
from genrewatch.sinks.mqtt.discovery import Discovery
from genrewatch.sinks.mqtt.history_publisher import HistoryPublisher
from genrewatch.sinks.mqtt.home_assistant import Announcement
from genrewatch.sinks.mqtt.message import Received
from genrewatch.sinks.mqtt.payload import Payloads, sound_fields
from genrewatch.sinks.mqtt.source_states import SourceStates
from genrewatch.sinks.mqtt.topics import OFFLINE, ONLINE, Topics
from genrewatch.sinks.mqtt.votes_selection import VotesSelection
from genrewatch.sinks.sink import Sink, SourceInfo
from genrewatch.sources.source import NowPlaying
from genrewatch.sources.tuner.addresses import SCHEMES

__all__ = ["MqttConfig", "MqttSink", "Reconnect"]

CLOSE_S = 3.0


class MqttSink(Sink):
    """Publishes the verdicts of one node's sources; any thread may call any method."""

    def __init__(
        self,
        config: MqttConfig,
        node: str,
        manifest: Manifest,
        *,
        names: Mapping[str, str] | None = None,
        persistent_state: PersistentState | None = None,
        health_s: float = 30.0,
        announcement: Announcement | None = None,
        expectations: Mapping[str, Expectation] | None = None,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        reconnect: Reconnect | None = None,
        birth_delay_s: tuple[float, float] = DELAY_S,
    ) -> None:
        """`manifest` is that of the model at the start; `names` are the display names of all sources, by id.

        Raises ConfigError for a node id, a url or a TLS file that cannot work.
        """
        names, persistent_state = dict(names or {}), persistent_state or PersistentState(None)
        root = f"{config.base}/{check_id(node, 'node')}"
        self._config, self._names = config, names
        self._topics = topics = Topics(root=root, node=node, discovery_prefix=config.discovery_prefix)
        self._payloads = Payloads(node=node, top_k=config.top_k, names=names, clock=clock)
        self._detector = EventDetector(expectations)
        self._commands = CommandReceiver(topics, names, config.settable, corrections=config.corrections)
        self._votes = VotesSelection(config.votes_every)
        self._connection = connection = Connection(
            config,
            client_id=node,
            will=topics.status(OFFLINE),
            tls=tls_context(config),
            reconnect=reconnect or Reconnect(),
            subscriptions=self._subscriptions(names),
            callbacks=ConnectionCallbacks(
                on_connect=self._on_connect,
                on_disconnect=lambda: self.history.on_disconnect(),
                on_message=self._on_message,
                on_publish=lambda packet_id, accepted: self.history.on_publish(packet_id, accepted),
            ),
        )
        self.history = HistoryPublisher(connection, topics)
        """Publishes the records of the history."""
        self._states = SourceStates(
            config,
            topics,
            self._payloads,
            connection,
            model=manifest,
            persistent_state=persistent_state,
            monotonic=monotonic,
        )
        self._discovery = discovery = Discovery(
            config, topics, names, persistent_state, health_s=health_s, announcement=announcement or Announcement()
        )
        request_health = self._commands.request_health
        self._birth = BirthSequence(
            connection,
            topics,
            discovery,
            self._states,
            request_health=request_health,
            delay_s=birth_delay_s,
            heartbeat_s=config.heartbeat_s,
        )

    @property
    def protocol(self) -> str | None:
        """`5` or `3.1.1` while connected, else None."""
        return self._connection.protocol

    @property
    def dropped(self) -> int:
        """Messages dropped because there was no connection; states that are published again later are included."""
        return self._connection.dropped

    def set_command_handler(self, handler: CommandHandler) -> None:
        """Pass the commands that arrive from now on to `handler`."""
        self._commands.handler = handler

    def start(self, *, listening: bool = True) -> None:
        """Start to connect, and return at once; an absent broker is no error.

        Until its first segment a source is warming up: the state of before a kill must not look current. Nothing is
        published about sources without `listening`, when only records are delivered.
        """
        for source_id in list(self._names) if listening else ():
            if not self._states.knows(source_id):
                self._states.publish_no_sound(source_id, "warming_up")
        self._connection.start()

    def take_over(self, before: "MqttSink") -> None:
        """Go on with the states and events of another sink of this node, which is closed next; call before `start`."""
        self._states.take_over(before._states)
        self._detector = before._detector
        self._commands.take_over(before._commands)

    def start_after(self, before: "MqttSink") -> None:
        """Close the sink that this one has taken over from, then start; it takes as long as `close`."""
        before.close()
        self._connection.count_from(before._connection)
        self.start()

    def on_stream(self, source_id: str, pipeline: Pipeline) -> None:
        """See `Sink`; a model with other labels changes the discovery."""
        with self._states.lock:
            self._detector.stream(source_id)
            same_labels = pipeline.manifest.labels == self._states.model.labels
            self._states.set_model(source_id, pipeline.manifest)
            if not same_labels:
                self._birth.publish_discovery()

    def on_sources(self, sources: Mapping[str, SourceInfo]) -> None:
        """See `Sink`; Home Assistant's devices of removed sources are removed, those of new ones announced."""
        with self._states.lock:
            for source_id in self._names.keys() - sources.keys():
                del self._names[source_id]
                self._states.remove(source_id)
            self._names.update((source_id, source.name) for source_id, source in sources.items())
            self._detector.set_sources({source_id: source.expectation for source_id, source in sources.items()})
            self._discovery.announcement = self._discovery.announcement.with_sources(
                {source_id: area for source_id, source in sources.items() if (area := source.suggested_area)},
                [source_id for source_id, source in sources.items() if source.kind not in SCHEMES],
            )
            self._connection.set_subscriptions(self._subscriptions(self._names))
            self._birth.on_sources()

    def on_availability(self, source_id: str, online: bool, why: str) -> None:
        """See `Sink`; `why` is not published. Raises ConfigError for an id that cannot be part of a topic."""
        self._states.set_online(source_id, online)

    def on_disabled(self, source_id: str, disabled: bool) -> None:
        """See `Sink`."""
        with self._states.lock:
            self._states.set_disabled(source_id, disabled)
            self._states.publish_no_sound(source_id, "off" if disabled else "warming_up")
            if disabled:
                self._detector.reset(source_id)

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """See `Sink`; publishes the state if it is new or a heartbeat is due, events and votes."""
        with self._states.lock:
            self._states.update(source_id, sound_fields(result))
            self._publish_events(self._detector.result(source_id, result))
            if self._config.votes and self._votes.selects(source_id, result.verdict):
                payload = self._payloads.votes(source_id, result, self._states[source_id].model.labels)
                self._connection.publish(self._topics.votes(source_id, payload))

    def on_settings(self, source_id: str, settings: Mapping[str, Value]) -> None:
        """See `Sink`."""
        self._states.set_settings(source_id, settings)

    def on_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """See `Sink`."""
        with self._states.lock:
            self._detector.playing(source_id, playing)
            self._states.set_playing(source_id, playing)

    def on_stalled(self, source_id: str) -> None:
        """See `Sink`; publishes like `on_result`."""
        with self._states.lock:
            self._states.publish_no_sound(source_id, "stalled")
            self._publish_events(self._detector.stalled(source_id))

    def on_test_event(self, source_id: str) -> None:
        """See `Sink`."""
        with self._states.lock:
            self._publish_events([sample_event(source_id)])

    def diagnostics(self) -> dict[str, Any]:
        """See `Sink`."""
        connection, commands = self._connection, self._commands
        mqtt = {"protocol": connection.protocol, "connections": connection.connections, "dropped": connection.dropped}
        return {"mqtt": mqtt | {"commands": commands.accepted, "ignored": commands.ignored}}

    def on_health(self, health: Mapping[str, Any]) -> None:
        """Publish the diagnostics of the node and of this connection; `health` must be serializable as JSON."""
        self._connection.publish(self._topics.health(self._payloads.health({**health, **self.diagnostics()})))

        self._birth.on_health()

    def problems(self) -> list[str]:
        """See `Sink`."""
        delayed = self._birth.problem
        return [*self._connection.problems(), *([delayed] if delayed else [])]

    @property
    def tried(self) -> bool:
        """See `Sink`; the broker."""
        return self._connection.attempted

    def close(self) -> None:
        """Publish `offline` for every source and the node, wait until the broker has it, and disconnect; under 5 s."""
        self._birth.cancel()
        last = [*self._states.offline_messages(), self._topics.status(OFFLINE)]
        self._connection.close(last, timeout_s=CLOSE_S)
        self._birth.save_if_acknowledged()

    def _publish_events(self, events: list[Event]) -> None:
        for event in events:
            payload = self._payloads.event(event, self._states[event.source].model)
            self._connection.publish(self._topics.event(event.source, payload))

    def _on_connect(self) -> None:
        self._birth.on_connect()
        self.history.on_change()

    def _on_message(self, received: Received) -> None:
        if self._topics.is_retained(received.topic):
            if self._connection.retained.is_overwritten_by(received, echoes=self._connection.protocol != "5"):
                self._birth.on_overwritten(received.topic)
        elif received.topic != self._topics.home_assistant_status:
            self._commands.on_message(received)
        elif received.payload == ONLINE and not received.retain:
            self._birth.on_home_assistant_start()

    def _commands_of(self, source: str) -> list[str]:
        settings = [self._topics.setting_commands_of(source, key) for key in self._config.settable]
        corrections = [self._topics.correct_command_of(source)] if self._config.corrections else []
        return [self._topics.listen_commands_of(source), *settings, *corrections]

    def _subscriptions(self, sources: Iterable[str]) -> Subscriptions:
        wanted = [self._topics.listen_commands]
        wanted += [self._topics.setting_commands] if self._config.settable else []
        wanted += [self._topics.correct_commands] if self._config.corrections else []
        wanted += [self._topics.bundle_command] if self._config.bundles else []
        wanted += [self._topics.home_assistant_status] if self._config.discovery else []
        return Subscriptions(
            commands=wanted,
            exact_commands=[topic for source in sources for topic in self._commands_of(source)],
            own=self._topics.retained_filters(discovery=self._config.discovery),
        )

"""The web sink: keeps the newest of every source for the page, the API and the metrics, and serves them.

Nothing here waits for a viewer: a source's thread updates values in memory and puts events into bounded queues.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from genrewatch.contract.bundle import Manifest
from genrewatch.host.paths import expand_home
from genrewatch.host.persistent_state import PersistentState
from genrewatch.host.times import utc_now
from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.sinks.events import Event, EventDetector, sample_event
from genrewatch.sinks.expectations import Expectation
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.payload import Payloads, sound_fields
from genrewatch.sinks.mqtt.source_states import SourceStates
from genrewatch.sinks.mqtt.topics import Topics
from genrewatch.sinks.sink import Sink, SourceInfo
from genrewatch.sinks.web.application import Application
from genrewatch.sinks.web.config import WebConfig
from genrewatch.sinks.web.control import Commands, Control
from genrewatch.sinks.web.event_streams import EventStreams
from genrewatch.sinks.web.guard import Guard
from genrewatch.sinks.web.history_api import HistoryApi
from genrewatch.sinks.web.live_sources import LiveSources, SourceLabel
from genrewatch.sinks.web.metrics import Metrics
from genrewatch.sinks.web.node_api import NodeApi, Support
from genrewatch.sinks.web.server import MAX_VIEWERS, WebServer
from genrewatch.sources.source import NowPlaying

TOP_K = 5
"""Labels of a segment's posterior that viewers are sent."""
NO_MQTT = {"used": False, "protocol": None, "connections": 0, "dropped": 0, "commands": 0, "ignored": 0}


class WebSink(Sink):
    """Serves one node; any thread may call any method."""

    def __init__(
        self,
        config: WebConfig,
        mqtt: MqttConfig,
        node: str,
        manifest: Manifest,
        labels: Mapping[str, SourceLabel],
        *,
        persistent_state: PersistentState,
        history: Path | None,
        support: Support | None = None,
        expectations: Mapping[str, Expectation] | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`labels` names all sources, `history` is the database; `mqtt` decides how often a state is sent, and whether
        another bundle may be chosen."""
        self._names = names = {source_id: label.name for source_id, label in labels.items()}
        self._topics = Topics(root="", node=node, discovery_prefix="")
        self._payloads = Payloads(node=node, top_k=TOP_K, names=names, clock=clock)
        self._detector, self._streams = EventDetector(expectations), EventStreams(MAX_VIEWERS)
        self._live = LiveSources(labels, self._streams)
        self._states = SourceStates(
            mqtt, self._topics, self._payloads, self._live, model=manifest, persistent_state=persistent_state
        )
        self._control: Control | None = None
        self._bundles = mqtt.bundles is not None
        self._health: Mapping[str, Any] = {}
        self._lock, self._support = threading.Lock(), support or Support()
        history_api = HistoryApi(history, node)
        node_api = NodeApi(
            node,
            self._live,
            history_api,
            self._support,
            bundles=None if mqtt.bundles is None else expand_home(mqtt.bundles),
            health=self._health_payload,
        )
        self.application = Application(
            node=node,
            guard=Guard(config),
            live=self._live,
            streams=self._streams,
            history=history_api,
            metrics=Metrics(self._live, self._diagnose),
            node_api=node_api,
            health=self._health_payload,
            labels=lambda: self._states.model.labels,
            bundles=self._bundles,
        )
        """The WSGI application."""
        self._host, self._server = config.host, WebServer(config, self.application, self._streams.close)

    @property
    def url(self) -> str:
        """Address of the page, once it is served."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{host}:{self._server.port}/"

    def start(self) -> bool:
        """Start to serve; False, with a warning, where the port is taken."""
        return self._server.start()

    def set_control(self, control: Control) -> None:
        """Carry out commands through `control` from now on, and read the diagnostics from it."""
        self._control = control
        self._set_commands(control)

    def _set_commands(self, control: Control) -> None:
        source_ids = [source_id for source_id, _ in self._live.items()]
        self.application.commands = Commands(control, source_ids, bundles=self._bundles)

    def on_stream(self, source_id: str, pipeline: Pipeline) -> None:
        """See `Sink`."""
        with self._states.lock, self._live.lock:
            self._detector.stream(source_id)
            self._states.set_model(source_id, pipeline.manifest)
            self._live[source_id].begin_stream(pipeline)

    def on_sources(self, sources: Mapping[str, SourceInfo]) -> None:
        """See `Sink`; viewers connect again and ask for all sources."""
        with self._states.lock, self._live.lock:
            for source_id in self._names.keys() - sources.keys():
                del self._names[source_id]
                self._states.remove(source_id)
            self._names.update((source_id, source.name) for source_id, source in sources.items())
            self._live.set_labels({key: SourceLabel(name=one.name, kind=one.kind) for key, one in sources.items()})
            self._detector.set_sources({source_id: source.expectation for source_id, source in sources.items()})
        if self._control:
            self._set_commands(self._control)
        self._streams.reconnect()

    def on_availability(self, source_id: str, online: bool, why: str) -> None:
        """See `Sink`."""
        self._states.set_online(source_id, online)

    def on_disabled(self, source_id: str, disabled: bool) -> None:
        """See `Sink`."""
        with self._states.lock, self._live.lock:
            self._states.set_disabled(source_id, disabled)
            if disabled:
                self._live[source_id].end_sound("off")
                self._detector.reset(source_id)
                self._states.publish_no_sound(source_id, "off")

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """See `Sink`."""
        with self._states.lock, self._live.lock:
            self._live[source_id].add(result, time.time())
            votes = self._payloads.votes(source_id, result, self._states[source_id].model.labels)
            self._live.publish(self._topics.votes(source_id, votes))
            self._states.update(source_id, sound_fields(result))
            self._publish_events(self._detector.result(source_id, result))

    def on_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """See `Sink`."""
        with self._states.lock, self._live.lock:
            self._detector.playing(source_id, playing)
            self._states.set_playing(source_id, playing)

    def on_stalled(self, source_id: str) -> None:
        """See `Sink`."""
        with self._states.lock, self._live.lock:
            self._live[source_id].end_sound("stalled")
            self._states.publish_no_sound(source_id, "stalled")
            self._publish_events(self._detector.stalled(source_id))

    def on_test_event(self, source_id: str) -> None:
        """See `Sink`."""
        self._publish_events([sample_event(source_id)])

    def on_health(self, health: Mapping[str, Any]) -> None:
        """Keep the diagnostics, and send them to the viewers."""
        with self._lock:
            self._health = {"mqtt": NO_MQTT, **health}
        if len(self._streams):
            self._streams.publish("health", self._payloads.health(self._health))

    def problems(self) -> list[str]:
        """See `Sink`."""
        return [problem for problem in (self._server.problem, self._support.doctor.defects.problem) if problem]

    def close(self) -> None:
        """Close all connections and end the checks; at most 3 s."""
        self._support.doctor.close()
        self._server.close()

    def _diagnose(self) -> Mapping[str, Any]:
        """Return the diagnostics now, or the last ones while the daemon starts."""
        if self._control is not None:
            return {"mqtt": NO_MQTT, **self._control.health()}
        return {"degraded": [], "cpu_temperature_c": None, "sources": {}, **self._health}

    def _health_payload(self) -> bytes:
        return self._payloads.health(self._diagnose())

    def _publish_events(self, events: list[Event]) -> None:
        for event in events:
            self._live[event.source].event_counts[event.type] += 1
            payload = self._payloads.event(event, self._states[event.source].model)
            self._live.publish(self._topics.event(event.source, payload))

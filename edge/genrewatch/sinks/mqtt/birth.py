"""The birth sequence: everything that subscribers need, on each new connection and when Home Assistant starts.

retained messages to delete    of sources that have left the configuration; only on a new connection
state                          before the status, so that no earlier state is shown as current; only on a new connection
status, discovery              retained
listen, availability           retained, for each source
state, health                  now, and once more after a random delay: Home Assistant subscribes to the topics of
                               a device some time after its discovery
"""

import random
import threading
from collections.abc import Callable, Collection

from paho.mqtt.client import MQTTMessageInfo

from genrewatch.host.defects import DefectLog
from genrewatch.sinks.mqtt.connection import Connection
from genrewatch.sinks.mqtt.discovery import Discovery
from genrewatch.sinks.mqtt.repair import Repair
from genrewatch.sinks.mqtt.source_states import SourceStates
from genrewatch.sinks.mqtt.topics import ONLINE, Topics

DELAY_S = (0.5, 5.0)
"""Range of the random delay after a start of Home Assistant, and before states are published once more."""


class BirthSequence:
    """Publishes the birth sequence; any thread may call any method."""

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        discovery: Discovery,
        states: SourceStates,
        *,
        request_health: Callable[[], None],
        delay_s: tuple[float, float] = DELAY_S,
        heartbeat_s: float = 30.0,
    ) -> None:
        """`request_health` asks for a health message and must not block."""
        self._connection, self._topics, self._discovery, self._states = connection, topics, discovery, states
        self._request_health, self._delay_s = request_health, delay_s
        self._connection_number = 0
        self._deleted: list[MQTTMessageInfo | None] = [None]  # nothing is acknowledged before the first connection
        self._discovered: list[MQTTMessageInfo | None] = [None]
        self._timer: threading.Timer | None = None
        self._defects = DefectLog("mqtt, delayed messages")
        self._repair = Repair(self._publish_repair, heartbeat_s=heartbeat_s)

    @property
    def problem(self) -> str | None:
        """A defect of what is published after a delay, as text for people; None without one."""
        return self._defects.problem

    def on_connect(self) -> None:
        """Publish the birth sequence on a new connection."""
        with self._states.lock:
            self._connection_number = self._connection.number
            self._deleted = [self._connection.publish(message) for message in self._discovery.removals()]
            self._states.publish_states()
            self._publish_all()
            self._schedule(self._after_birth)

    def on_sources(self) -> None:
        """Delete what is retained of sources that have left the configuration, and announce the present ones."""
        with self._states.lock:
            if self._connection.number:
                self._deleted = [self._connection.publish(message) for message in self._discovery.removals()]
                self.publish_discovery()
                self._states.publish_retained()
                self._schedule(self._after_birth)

    def on_home_assistant_start(self) -> None:
        """Publish the birth sequence after a random delay, so that not all nodes publish at once."""
        with self._states.lock:
            self._schedule(self._publish_again)

    def on_overwritten(self, topic: str) -> None:
        """Publish the retained messages again within a heartbeat: another client has published on `topic`."""
        self._repair.request(topic)

    def on_health(self) -> None:
        """Publish status, switches and availability again, as often as health, where the broker retains nothing."""
        if not self._connection.limits.retain_available:
            with self._states.lock:
                self._publish_status_and_sources()

    def publish_discovery(self) -> None:
        """Publish the discovery of the current model."""
        with self._states.lock:
            messages = self._discovery.messages(self._states.model)
            self._discovered = [self._connection.publish(message) for message in messages]

    def cancel(self) -> None:
        """Cancel what is scheduled."""
        with self._states.lock:
            if self._timer:
                self._timer.cancel()
        self._repair.cancel()

    def save_if_acknowledged(self) -> None:
        """Save what is published as discovery once the broker has acknowledged it, and the deletions, all."""
        with self._states.lock:
            if all(map(_acknowledged, [*self._deleted, *self._discovered])):
                self._discovery.save()

    def _publish_again(self) -> None:
        with self._defects.guarded(), self._states.lock:
            self._publish_all()
            self._schedule(self._after_birth)

    def _publish_all(self) -> None:
        self._connection.publish(self._topics.status(ONLINE))
        self.publish_discovery()
        self._states.publish_retained()
        self._publish_not_retained()

    def _publish_status_and_sources(self) -> None:
        self._connection.publish(self._topics.status(ONLINE))
        self._states.publish_retained()

    def _publish_repair(self, topics: Collection[str]) -> None:
        with self._defects.guarded(), self._states.lock:
            if not self._connection.number:
                return
            if any(not topic.startswith(self._topics.root + "/") for topic in topics):
                self.publish_discovery()
            self._publish_status_and_sources()

    def _publish_not_retained(self) -> None:
        self._states.publish_states()
        self._request_health()

    def _after_birth(self) -> None:
        with self._defects.guarded():
            self.save_if_acknowledged()
            if self._connection.number == self._connection_number and self._discovery.enabled:
                self._publish_not_retained()

    def _schedule(self, action: Callable[[], None]) -> None:
        """Call `action` after the random delay, instead of what was scheduled before."""
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer(random.uniform(*self._delay_s), action)
        self._timer.daemon = True
        self._timer.start()


def _acknowledged(info: MQTTMessageInfo | None) -> bool:
    return info is not None and info.is_published()

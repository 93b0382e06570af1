"""A connection to the broker that is kept up: MQTT 5 first, then 3.1.1; reconnects with backoff and jitter.

paho can reconnect by itself, but only in the version it started with and without jitter, so a thread here makes a new
`MqttClient` for every attempt. Nothing is queued while disconnected: `publish` returns None, and the sink, called on
each new connection, publishes everything that still holds.
"""

import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from paho.mqtt.client import MQTTMessageInfo

from genrewatch.host.backoff import Backoff
from genrewatch.host.guarded_thread import GuardedThread
from genrewatch.sinks.mqtt.attempt import connect
from genrewatch.sinks.mqtt.client import Callbacks, MqttClient, Outcome
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.limits import Limits
from genrewatch.sinks.mqtt.link_problems import LinkProblems
from genrewatch.sinks.mqtt.message import Message, Received
from genrewatch.sinks.mqtt.retained import RetainedMessages

WATCH_S = 1.0
"""Time between two looks at the progress of paho's thread."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reconnect:
    """Pauses before the next attempt to connect."""

    unreachable: Backoff = Backoff(max_s=15.0)
    """While no broker answers; a link that held for its `max_s` resets the count of failures."""
    refused: Backoff = Backoff(max_s=60.0)
    """While the broker refuses the login."""

    def delay_s(self, failures: int, outcome: Outcome, rng: random.Random) -> float:
        """Return the pause after `failures` (at least 1) in a row, the last of which was `outcome`."""
        return (self.refused if outcome is Outcome.REFUSED else self.unreachable).delay_s(failures, rng)


@dataclass(frozen=True, kw_only=True)
class Subscriptions:
    """Topic filters of a connection."""

    commands: Sequence[str]
    exact_commands: Sequence[str] = ()
    """Topics to subscribe to instead of filters with wildcards, with a broker that has none."""
    own: Sequence[str] = ()
    """Filters of this node's retained topics, on which others may publish."""


@dataclass(frozen=True, kw_only=True)
class ConnectionCallbacks:
    """Callbacks of a `Connection`; threads of its own call them, so they must not block."""

    on_connect: Callable[[], None]
    """Called on every new connection, after the subscriptions."""
    on_disconnect: Callable[[], None] = lambda: None
    on_message: Callable[[Received], None] = lambda received: None
    on_publish: Callable[[int, bool], None] = lambda packet_id, accepted: None
    """Called on the acknowledgement of a QoS 1 message, with the packet id that `publish_with_id` returned."""


class Connection:
    """A thread that connects, waits until the connection is lost, and reconnects."""

    def __init__(
        self,
        config: MqttConfig,
        *,
        client_id: str,
        will: Message,
        tls: ssl.SSLContext | None,
        reconnect: Reconnect,
        subscriptions: Subscriptions,
        callbacks: ConnectionCallbacks,
    ) -> None:
        self._config, self._will, self._tls = config, will, tls
        self._reconnect, self._rng = reconnect, random.Random()
        self._subscriptions, self._callbacks = subscriptions, callbacks
        self._client: MqttClient | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = GuardedThread("mqtt", self._run)
        self._logged: Outcome | None = None
        self.attempted = False
        """True once the first attempt to connect has ended."""
        self._problems = LinkProblems(client_id)
        self.retained = RetainedMessages()
        """The retained messages that were published."""
        self.connections = 0
        """Connections so far."""
        self.dropped = 0
        """Messages that `publish` could not queue, not counting those before the first attempt to connect has ended."""

    @property
    def protocol(self) -> str | None:
        """`5` or `3.1.1` while connected, else None."""
        client = self._client
        return None if client is None else client.protocol

    @property
    def number(self) -> int:
        """The number of the current connection, from 1; 0 while disconnected."""
        return 0 if self._client is None else self.connections

    @property
    def limits(self) -> Limits:
        """The limits of the current connection; without one, none."""
        client = self._client
        return Limits() if client is None else client.limits

    def problems(self) -> list[str]:
        """Return what does not work on this connection, a line each."""
        thread = self._thread.problem
        return [*self.limits.problems(), *self._problems.lines(), *([thread] if thread else [])]

    def set_subscriptions(self, subscriptions: Subscriptions) -> None:
        """Subscribe to other topics from now on; earlier ones stay subscribed as long as this connection lasts."""
        before, self._subscriptions = self._subscriptions, subscriptions
        client = self._client
        if client and subscriptions != before and not client.limits.wildcards_available:
            self._subscribe(client)

    def count_from(self, before: "Connection") -> None:
        """Continue the numbers of another connection, so that packet ids stay unique; call before `start`."""
        self.connections, self.dropped = before.connections, before.dropped

    def start(self) -> None:
        """Start to connect; returns at once, with or without a broker."""
        self._thread.start()

    def publish(self, message: Message) -> MQTTMessageInfo | None:
        """Publish a message; while disconnected or with a full queue it is dropped and None is returned."""
        with self._lock:
            self.retained.add(message)
            info = None if self._client is None else self._client.publish(message)
            if info is None and self.attempted:
                self.dropped += 1
            return info

    def takes(self, message: Message) -> bool:
        """Return False if the broker reads no message as large."""
        client = self._client
        return client is None or client.takes(message)

    def publish_with_id(self, message: Message) -> int | None:
        """Publish a message of QoS 1; return a packet id that is unique over all connections, None if not queued."""
        with self._lock:
            info = None if self._client is None else self._client.publish(message)
            return None if info is None else _unique_id(self.connections, info.mid)

    def close(self, last: Sequence[Message], *, timeout_s: float) -> None:
        """Publish the `last` messages, wait until the broker has them, and disconnect; give up after `timeout_s`."""
        end = time.monotonic() + timeout_s
        with self._lock:  # nothing is published after the last messages
            self._closing.set()
            client, self._client = self._client, None
        if client is not None:
            for message in last:
                self.retained.add(message)
            for info in [client.publish(message) for message in last]:
                if info is not None:
                    info.wait_for_publish(max(0.0, end - time.monotonic()))
            client.disconnect()
        if self._thread.is_alive():  # it may block in a name lookup; it ends by itself and publishes nothing more
            self._thread.join(max(0.5, end - time.monotonic()))

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                outcome, why = self._connect_and_serve()
            except Exception as exc:
                outcome, why = Outcome.UNREACHABLE, self._problems.on_defect(exc)
            self.attempted = True
            if self._closing.is_set():
                break
            held_s = time.monotonic() - began if outcome is Outcome.CONNECTED else 0.0
            self._log(Outcome.REFUSED if outcome is Outcome.REFUSED else Outcome.UNREACHABLE, why)
            failures = 1 if held_s >= self._reconnect.unreachable.max_s else failures + 1
            self._closing.wait(self._reconnect.delay_s(failures, outcome, self._rng))

    def _connect_and_serve(self) -> tuple[Outcome, str]:
        """Connect and use the connection until its end; return the outcome, and why there is no connection now."""
        on_publish = partial(self._on_publish, self.connections + 1)
        callbacks = Callbacks(
            on_message=self._callbacks.on_message, on_publish=on_publish, refusals=self._problems.refusals
        )
        client, outcome = connect(self._config, self._problems.client_id, self._will, self._tls, callbacks)
        if outcome is Outcome.CONNECTED:
            self._serve(client)
        else:
            self._problems.on_no_connection()
        if client.defect is not None:
            self._problems.on_defect(client.defect)
        return outcome, client.why

    def _serve(self, client: MqttClient) -> None:
        """Let `publish` use the client until it is disconnected; one that connected after `close` is closed unused."""
        with self._lock:
            wanted = not self._closing.is_set()
            if wanted:
                self._client, self.connections, self.attempted = client, self.connections + 1, True
        began = time.monotonic()
        try:
            if wanted:
                self._log(Outcome.CONNECTED, f"connected to {self._config.endpoint}, MQTT {client.protocol}")
                self._problems.refusals.clear()
                self._subscribe(client)
                self._callbacks.on_connect()
                self._watch(client)
        finally:
            with self._lock:
                self._client = None
            self._callbacks.on_disconnect()
            client.close()
        if not self._closing.is_set():
            self._problems.on_disconnect(client, time.monotonic() - began)

    def _subscribe(self, client: MqttClient) -> None:
        wanted = self._subscriptions
        if self._problems.may_read:
            client.subscribe(client.limits.filters(wanted.commands, wanted.exact_commands))
            client.subscribe(client.limits.filters(wanted.own, ()), foreign=True)

    def _watch(self, client: MqttClient) -> None:
        """Wait until the client is disconnected or its thread makes no progress."""
        while not client.wait_disconnected(WATCH_S):
            if client.is_stalled:
                client.why = "paho's thread makes no progress"
                return

    def _on_publish(self, number: int, mid: int, accepted: bool) -> None:
        self._callbacks.on_publish(_unique_id(number, mid), accepted)

    def _log(self, outcome: Outcome, why: str) -> None:
        """Log a change of state, and only a change."""
        if outcome is self._logged:
            return
        self._logged = outcome
        if outcome is Outcome.CONNECTED:
            log.info("%s", why)
        elif outcome is Outcome.REFUSED:
            log.error("%s refuses the login (%s); retrying slowly", self._config.endpoint, why)
        else:
            log.warning("no connection to %s (%s); retrying", self._config.endpoint, why)


def _unique_id(connection_number: int, mid: int) -> int:
    """Return a packet id with the number of its connection, since each connection counts packet ids from 1."""
    return connection_number << 16 | mid

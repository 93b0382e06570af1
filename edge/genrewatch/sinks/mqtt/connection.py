"""Keeps a link to the broker: MQTT 5 first, then 3.1.1; lost links are made again, slower and slower, with jitter.

paho can reconnect by itself, but only in the version it began with and without jitter, so one thread here makes a new
`Link` for every attempt. Nothing queues while there is no link: `publish` says so, and the sink, called on each birth,
says everything that still holds.
"""

import logging
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from paho.mqtt.client import MQTTMessageInfo

from genrewatch.host.backoff import Backoff
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.link import Callbacks, Link, Message, Outcome, Received, connect

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


class Connection:
    """A thread that connects, calls `on_birth` on every new link, waits for its end and starts again."""

    def __init__(
        self,
        config: MqttConfig,
        *,
        client_id: str,
        will: Message,
        on_birth: Callable[[], None],
        tls: ssl.SSLContext | None,
        reconnect: Reconnect,
        subscriptions: Sequence[str] = (),
        on_message: Callable[[Received], None] = lambda received: None,
        on_receipt: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_birth` is called on every new link, after the subscriptions; `on_receipt` when `receipts` has news."""
        self._subscriptions, self._on_message, self._on_receipt = subscriptions, on_message, on_receipt
        self._receipts = Receipts()
        self._config, self._client_id, self._will, self._tls = config, client_id, will, tls
        self._on_birth, self._reconnect, self._rng = on_birth, reconnect, random.Random()
        self._link: Link | None = None
        self._link_lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._said: Outcome | None = None
        self.links = 0
        """How many links there have been."""

    @property
    def protocol(self) -> str | None:
        """`5` or `3.1.1` while connected, else None."""
        link = self._link
        return None if link is None else link.protocol

    def start(self) -> None:
        """Begins to connect; returns at once, whether or not there is a broker."""
        self._thread.start()

    def publish(self, message: Message) -> MQTTMessageInfo | None:
        """Sends a message if there is a link that takes it, else returns None: it is not kept."""
        with self._link_lock:
            return None if self._link is None else self._link.publish(message)

    @property
    def number(self) -> int:
        """Of the present link, from 1; 0 while there is none."""
        return 0 if self._link is None else self.links

    def receipts(self) -> list[tuple[int, bool]]:
        """Which messages of QoS 1 have been acknowledged since the last call, and whether the broker took them."""
        return self._receipts.take()

    def packet_id(self, message: Message) -> int | None:
        """Sends a message of QoS 1 as `publish` does; the number under which `receipts` will name it."""
        with self._link_lock:
            info = None if self._link is None else self._link.publish(message)
            if info is None:
                return None
            packet_id = _ticket(self.links, info.mid)
        if self._receipts.expect(packet_id):
            self._on_receipt()
        return packet_id

    def close(self, farewell: Sequence[Message], *, timeout_s: float) -> None:
        """Publishes `farewell`, waits until the broker has it, and disconnects; gives up after `timeout_s`."""
        end = time.monotonic() + timeout_s
        with self._link_lock:  # from here on nobody else publishes, so that the farewell is the last word
            self._closing.set()
            link, self._link = self._link, None
        if link is not None:
            for info in [link.publish(message) for message in farewell]:
                if info is not None:
                    info.wait_for_publish(max(0.0, end - time.monotonic()))
            link.hang_up()
        if self._thread.is_alive():  # it may sit in a name lookup; it ends by itself and publishes nothing more
            self._thread.join(max(0.5, end - time.monotonic()))

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            callbacks = Callbacks(on_message=self._on_message, on_receipt=partial(self._take_receipt, self.links + 1))
            link, outcome = connect(self._config, self._client_id, self._will, self._tls, callbacks)
            if outcome is Outcome.CONNECTED:
                began = time.monotonic()
                self._serve(link)
                failures = 0 if time.monotonic() - began >= self._reconnect.unreachable.max_s else failures
            if self._closing.is_set():
                break
            self._say(Outcome.REFUSED if outcome is Outcome.REFUSED else Outcome.UNREACHABLE, link.why)
            failures += 1
            self._closing.wait(self._reconnect.delay_s(failures, outcome, self._rng))

    def _serve(self, link: Link) -> None:
        """Hands the link to `publish` until it ends; a link that comes after `close` is hung up unused."""
        with self._link_lock:
            wanted = not self._closing.is_set()
            if wanted:
                self._link, self.links = link, self.links + 1
        if wanted:
            self._say(Outcome.CONNECTED, f"connected to {self._config.endpoint}, MQTT {link.protocol}")
            link.subscribe(self._subscriptions)
            self._on_birth()
            link.wait_ended()
        with self._link_lock:
            self._link = None
        self._receipts.forget()
        link.close()

    def _take_receipt(self, number: int, mid: int, accepted: bool) -> None:
        if self._receipts.add(_ticket(number, mid), accepted):
            self._on_receipt()

    def _say(self, outcome: Outcome, why: str) -> None:
        """Logs a change of state, and only a change."""
        if outcome is self._said:
            return
        self._said = outcome
        if outcome is Outcome.CONNECTED:
            log.info("%s", why)
        elif outcome is Outcome.REFUSED:
            log.error("%s refuses the login (%s); retried slowly", self._config.endpoint, why)
        else:
            log.warning("no connection to %s (%s); retried until there is one", self._config.endpoint, why)


class Receipts:
    """Of the messages that somebody waits for; a receipt may come before `publish` has told its number."""

    MOST_EARLY = 100

    def __init__(self) -> None:
        self._expected: set[int] = set()
        self._early: deque[tuple[int, bool]] = deque(maxlen=self.MOST_EARLY)
        self._come: list[tuple[int, bool]] = []
        self._lock = threading.Lock()

    def expect(self, packet_id: int) -> bool:
        """This one is waited for; whether it has come already."""
        with self._lock:
            early = [receipt for receipt in self._early if receipt[0] == packet_id]
            self._come += early
            if not early:
                self._expected.add(packet_id)
            return bool(early)

    def add(self, packet_id: int, accepted: bool) -> bool:
        """One has come; whether somebody waits for it."""
        with self._lock:
            expected = packet_id in self._expected
            self._expected.discard(packet_id)
            (self._come if expected else self._early).append((packet_id, accepted))
            return expected

    def take(self) -> list[tuple[int, bool]]:
        """Those that have come and were waited for, once."""
        with self._lock:
            come, self._come = self._come, []
            return come

    def forget(self) -> None:
        """The link is gone, and with it what was to come."""
        with self._lock:
            self._expected.clear()


def _ticket(link: int, mid: int) -> int:
    """Message numbers begin anew with every link."""
    return link << 16 | mid

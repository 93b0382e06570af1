"""Delivery of the outbox over MQTT: records go out in order, each is removed when the broker has acknowledged it.

After an outage they go out at a limited rate, marked `backfilled`. Acknowledgements belong to a connection: a record
that was in flight when it broke is published again under the same `seq`.
"""

import logging
import math
import time
from typing import Literal, Protocol

from genrewatch.contract.compact_json import compact_json
from genrewatch.history.record import is_correction
from genrewatch.history.store import HistoryStore, OutboxRecord

MAX_IN_FLIGHT = 10
"""Records published and not yet acknowledged: fewer than paho's 20, so that states never wait behind them."""
RETRY_REFUSED_S = 30.0
"""Pause after the broker has refused a record."""
RETRY_FULL_S = 1.0
"""Pause when the connection queues no more."""

log = logging.getLogger("genrewatch")


Kind = Literal["history", "correction"]
"""The topic of a record: spells and corrections have one each."""


class HistoryTransport(Protocol):
    """A publisher of history records whose acknowledgements can be read."""

    @property
    def connection_number(self) -> int:
        """The number of the current connection, from 1; 0 while disconnected."""

    def takes(self, source_id: str, payload: bytes, kind: Kind) -> bool:
        """Return False if the broker reads no message as large as this record."""

    def publish(self, source_id: str, payload: bytes, kind: Kind) -> int | None:
        """Publish a record of a source; return its packet id, or None when it was not queued."""

    def acknowledgements(self) -> list[tuple[int, bool]]:
        """Return the acknowledgements since the last call: (packet id, whether the broker accepted the record)."""


class Delivery:
    """Publisher of the outbox, a few records a run."""

    def __init__(self, transport: HistoryTransport, *, per_s: float) -> None:
        """`per_s` is the rate of back-filled records, per second."""
        self._transport, self._rate_limit = transport, _RateLimit(per_s)
        self._connection = 0
        self._in_flight: dict[int, tuple[int, str]] = {}  # packet id -> seq, source
        self._newest_published = 0  # seq, over this connection
        self._backfilled_to = 0  # the newest seq that was in the outbox when the connection was made
        self._acknowledged: list[int] = []  # seqs not yet removed from the outbox
        self._refused: dict[int, str] = {}  # seq -> source
        self._isolated: set[int] = set()  # refused, though a record of the same source was accepted after that
        self._reported = False
        self.undeliverable = 0
        """Records that the broker never takes; they stay in the database."""
        self._retry_s: float | None = None  # monotonic time before which nothing is published

    def set_transport(self, transport: HistoryTransport) -> None:
        """Publish over another connection, whose numbers go on where those of the present one end."""
        self._transport = transport

    @property
    def connected(self) -> bool:
        """True while there is a connection to the broker."""
        return self._transport.connection_number != 0

    @property
    def next_run_s(self) -> float:
        """Monotonic time at which there is more to publish if nothing else happens; infinity if only events matter."""
        return math.inf if self._retry_s is None else self._retry_s

    def run(self, store: HistoryStore) -> None:
        """Remove what has been acknowledged and publish what may be published now."""
        self._process_acknowledgements(store)
        connection = self._transport.connection_number
        if connection != self._connection:
            self._connection, self._newest_published, self._in_flight = connection, 0, {}
            self._backfilled_to = store.newest_waiting if connection else 0
        if connection and (self._retry_s is None or time.monotonic() >= self._retry_s):
            self._publish(store)

    def _process_acknowledgements(self, store: HistoryStore) -> None:
        for packet_id, accepted in self._transport.acknowledgements():
            seq, source = self._in_flight.pop(packet_id, (None, ""))
            if seq is not None and accepted:
                self._note_accepted(seq, source)
            elif seq in self._isolated:
                self._set_aside(seq, "refuses it, but no other record of its source")
            elif seq is not None:
                self._refused[seq] = source
                self._retry_from(seq)
        if self._acknowledged:
            store.remove_delivered(self._acknowledged)
            self._acknowledged.clear()

    def _note_accepted(self, seq: int, source: str) -> None:
        self._acknowledged.append(seq)
        self._reported = False
        self._refused.pop(seq, None)
        self._isolated |= {other for other, its_source in self._refused.items() if its_source == source}

    def _set_aside(self, seq: int, why: str) -> None:
        """Remove a record from the outbox that the broker never takes, instead of trying it without end."""
        if not self.undeliverable:
            log.error("record %d of the history stays here only: the broker %s; further ones are counted", seq, why)
        self.undeliverable += 1
        self._acknowledged.append(seq)
        self._refused.pop(seq, None)
        self._isolated.discard(seq)

    def _retry_from(self, seq: int) -> None:
        """Schedule a refused record and all after it to be published again."""
        if not self._reported:
            log.error(
                "the broker refuses the history: check that this user may publish to it; next attempt in %g s",
                RETRY_REFUSED_S,
            )
        self._reported, self._newest_published = True, min(self._newest_published, seq - 1)
        self._retry_s = time.monotonic() + RETRY_REFUSED_S

    def _publish(self, store: HistoryStore) -> None:
        self._retry_s = None
        room = MAX_IN_FLIGHT - len(self._in_flight)
        if room <= 0:
            return
        for record in store.outbox_records(self._newest_published, room):
            backfilled = record.seq <= self._backfilled_to
            if backfilled and (wait_s := self._rate_limit.wait_s()):
                self._retry_s = time.monotonic() + wait_s
                return
            payload = _payload(record, backfilled=backfilled)
            kind: Kind = "correction" if is_correction(record.record) else "history"
            if not self._transport.takes(record.source, payload, kind):
                self._set_aside(record.seq, "reads no message as large")
                self._newest_published, self._retry_s = record.seq, time.monotonic()
                continue
            packet_id = self._transport.publish(record.source, payload, kind)
            if packet_id is None:
                self._retry_s = time.monotonic() + RETRY_FULL_S
                return
            self._in_flight[packet_id] = record.seq, record.source
            self._newest_published = record.seq


class _RateLimit:
    """A token bucket that holds the tokens of one second, at least one."""

    def __init__(self, per_s: float) -> None:
        self._per_s, self._tokens, self._filled_s = per_s, 1.0, time.monotonic()

    def wait_s(self) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        now_s = time.monotonic()
        self._tokens = min(max(1.0, self._per_s), self._tokens + (now_s - self._filled_s) * self._per_s)
        self._filled_s = now_s
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_s
        self._tokens -= 1
        return 0.0


def _payload(record: OutboxRecord, *, backfilled: bool) -> bytes:
    return compact_json({**record.record, "backfilled": backfilled}).encode()

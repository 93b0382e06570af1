"""Takes records out of the outbox to whoever collects them: in order, each struck when its receipt has come.

After an outage they go out slowly and are marked `backfilled`; a connection that breaks takes its receipts with it,
so what it had not yet acknowledged is sent again, under the same `seq`.
"""

import logging
import math
import time
from typing import Protocol

from genrewatch.contract.compact_json import compact_json
from genrewatch.history.store import HistoryStore, OutboxRecord

MOST_UNDER_WAY = 10
"""Records sent and not yet acknowledged: fewer than paho's 20, so that states never wait behind them."""
REFUSED_S = 30.0
"""How long to wait after the broker has refused one."""
UNTAKEN_S = 1.0
"""How long to wait when the connection takes no more."""

log = logging.getLogger("genrewatch")


class HistoryTransport(Protocol):
    """A publisher of history records whose acknowledgements can be read."""

    @property
    def connection_number(self) -> int:
        """The number of the current connection, from 1; 0 while disconnected."""

    def publish(self, source_id: str, payload: bytes) -> int | None:
        """Publish a record of a source; return its packet id, or None when it was not queued."""

    def acknowledgements(self) -> list[tuple[int, bool]]:
        """Return the acknowledgements since the last call: (packet id, whether the broker accepted the record)."""


class Delivery:
    """Works off the outbox, a turn at a time."""

    def __init__(self, transport: HistoryTransport, *, per_s: float) -> None:
        """`per_s`: records a second, of those that an outage has left."""
        self._transport, self._per_s = transport, per_s
        self._link = 0
        self._under_way: dict[int, int] = {}  # packet id -> seq
        self._sent = self._late = 0  # the newest seq sent over this link; the newest that had waited for it
        self._delivered: list[int] = []  # acknowledged, but not yet struck
        self._refused = False
        self._allowance, self._counted = 1.0, time.monotonic()
        self._not_before, self._held = 0.0, False  # until when, and whether, something is held back

    @property
    def linked(self) -> bool:
        """Whether there is anybody to deliver to."""
        return self._transport.connection_number != 0

    @property
    def next_turn(self) -> float:
        """When there may be more to send, on the monotonic clock, if nothing happens before."""
        return self._not_before if self._held else math.inf

    def turn(self, store: HistoryStore) -> None:
        """Strikes what has been acknowledged and sends what may be sent now."""
        self._settle(store)
        link = self._transport.connection_number
        if link != self._link:
            self._link, self._sent, self._under_way = link, 0, {}
            self._late = store.newest_waiting if link else 0
        if link and time.monotonic() >= self._not_before:
            self._send(store)

    def _settle(self, store: HistoryStore) -> None:
        for packet_id, accepted in self._transport.acknowledgements():
            seq = self._under_way.pop(packet_id, None)
            if seq is not None and accepted:
                self._delivered.append(seq)
                self._refused = False
            elif seq is not None:
                self._step_back(seq)
        if self._delivered:
            store.remove_delivered(self._delivered)
            self._delivered.clear()

    def _step_back(self, seq: int) -> None:
        """The broker has refused a record: it and all after it are sent again, later."""
        if not self._refused:
            log.error(
                "the broker refuses the history (may this user publish to it?); tried again every %g s", REFUSED_S
            )
        self._refused, self._sent = True, min(self._sent, seq - 1)
        self._hold_until(time.monotonic() + REFUSED_S)

    def _send(self, store: HistoryStore) -> None:
        self._held = False
        room = MOST_UNDER_WAY - len(self._under_way)
        if room <= 0:
            return
        for outbox_record in store.outbox_records(self._sent, room):
            late = outbox_record.seq <= self._late
            if late and not self._allowed():
                return
            packet_id = self._transport.publish(outbox_record.source, _payload(outbox_record, backfilled=late))
            if packet_id is None:
                self._hold_until(time.monotonic() + UNTAKEN_S)
                return
            self._under_way[packet_id], self._sent = outbox_record.seq, outbox_record.seq

    def _hold_until(self, at_s: float) -> None:
        self._not_before, self._held = at_s, True

    def _allowed(self) -> bool:
        """Whether the pace allows one more; if not, `next_turn` is when it will."""
        now = time.monotonic()
        self._allowance = min(max(1.0, self._per_s), self._allowance + (now - self._counted) * self._per_s)
        self._counted = now
        if self._allowance < 1:
            self._hold_until(now + (1 - self._allowance) / self._per_s)
            return False
        self._allowance -= 1
        return True


def _payload(outbox_record: OutboxRecord, *, backfilled: bool) -> bytes:
    record = {**outbox_record.record, "backfilled": backfilled}
    return compact_json(record).encode()

"""Matches each SUBACK with the topic filters that were subscribed to."""

import threading
from collections.abc import Callable, Sequence


class Subacks:
    """SUBACKs of one connection; one may arrive before its packet id is known here."""

    def __init__(self, on_refused: Callable[[str, str], None]) -> None:
        """`on_refused` is called with a topic filter and the broker's reason."""
        self._on_refused, self._lock = on_refused, threading.Lock()
        self._filters: dict[int, Sequence[str]] = {}
        self._replies: dict[int, Sequence[str | None]] = {}
        self.arrived = threading.Event()
        """Set when a SUBACK has arrived."""

    def requested(self, packet_id: int, filters: Sequence[str]) -> None:
        """Note the filters of a SUBSCRIBE."""
        with self._lock:
            self._filters[packet_id] = filters
        self._match(packet_id)

    def replied(self, packet_id: int, reasons: Sequence[str | None]) -> None:
        """Note a SUBACK: for each filter None, or the reason why it is refused."""
        with self._lock:
            self._replies[packet_id] = reasons
        self._match(packet_id)

    def _match(self, packet_id: int) -> None:
        with self._lock:
            if packet_id not in self._filters or packet_id not in self._replies:
                return
            filters, reasons = self._filters.pop(packet_id), self._replies.pop(packet_id)
        for topic, reason in zip(filters, reasons, strict=False):
            if reason is not None:
                self._on_refused(topic, reason)
        self.arrived.set()

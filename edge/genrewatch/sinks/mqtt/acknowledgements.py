"""The acknowledgements (PUBACK) of messages that a publisher tracks by packet id."""

import threading
from collections import deque

MAX_EARLY = 100
"""Acknowledgements kept for messages that are not tracked (yet)."""


class Acknowledgements:
    """Packet ids in flight and those acknowledged; an acknowledgement may arrive before its packet id is tracked."""

    def __init__(self) -> None:
        self._in_flight: set[int] = set()
        self._early: deque[tuple[int, bool]] = deque(maxlen=MAX_EARLY)
        self._arrived: list[tuple[int, bool]] = []
        self._lock = threading.Lock()

    def track(self, packet_id: int) -> bool:
        """Track a packet id; return True if its acknowledgement has arrived already."""
        with self._lock:
            early = [acknowledgement for acknowledgement in self._early if acknowledgement[0] == packet_id]
            self._arrived += early
            if not early:
                self._in_flight.add(packet_id)
            return bool(early)

    def add(self, packet_id: int, accepted: bool) -> bool:
        """Add an acknowledgement; return True if its packet id is tracked."""
        with self._lock:
            tracked = packet_id in self._in_flight
            self._in_flight.discard(packet_id)
            (self._arrived if tracked else self._early).append((packet_id, accepted))
            return tracked

    def take(self) -> list[tuple[int, bool]]:
        """Return the acknowledgements of tracked packet ids since the last call."""
        with self._lock:
            arrived, self._arrived = self._arrived, []
            return arrived

    def clear_in_flight(self) -> None:
        """Stop tracking what is in flight: the connection is lost, no acknowledgement will arrive."""
        with self._lock:
            self._in_flight.clear()

"""A delayed action after others have published on topics of this node, at most once a heartbeat."""

import logging
import threading
import time
from collections.abc import Callable, Collection

DELAY_S = 2.0
"""Time for which further topics are collected."""
MAX_TOPICS = 1000

log = logging.getLogger(__name__)


class Repair:
    """Calls an action with the topics that were overwritten; any thread may call any method."""

    def __init__(self, action: Callable[[Collection[str]], None], *, heartbeat_s: float) -> None:
        """Run `action` in a thread of its own, on requests, at most twice every `heartbeat_s`."""
        self._action, self._heartbeat_s = action, heartbeat_s
        self._topics: set[str] = set()
        self._timer: threading.Timer | None = None
        self._last_s = float("-inf")
        self._lock, self._logged = threading.Lock(), False

    def request(self, topic: str) -> None:
        """Ask for the action, because of `topic`."""
        with self._lock:
            if not self._logged:
                self._logged = True
                log.warning("another client publishes on %s; its messages are replaced each heartbeat", topic)
            if len(self._topics) < MAX_TOPICS:
                self._topics.add(topic)
            if self._timer is None:
                wait_s = max(DELAY_S, self._last_s + self._heartbeat_s / 2 - time.monotonic())
                self._timer = threading.Timer(wait_s, self._run)
                self._timer.daemon = True
                self._timer.start()

    def cancel(self) -> None:
        """Cancel what is scheduled."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()

    def _run(self) -> None:
        with self._lock:
            topics, self._topics, self._timer = self._topics, set(), None
            self._last_s = time.monotonic()
        self._action(topics)

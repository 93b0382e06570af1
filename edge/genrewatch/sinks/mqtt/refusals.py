"""The messages and subscriptions that the broker refuses at present, logged once for each reason."""

import logging
import threading

MAX_TOPICS = 1000
"""Topics kept for one reason."""

log = logging.getLogger(__name__)


class Refusals:
    """Refused topics by action and reason; any thread may call any method."""

    def __init__(self, *, logs: bool = True) -> None:
        self._logs = logs
        self._topics: dict[tuple[str, str], dict[str, None]] = {}
        self._logged: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def add(self, action: str, topic: str, reason: str) -> None:
        """Note that `topic` is refused; `action` is `messages on` or `subscriptions to`."""
        key = (action, reason)
        with self._lock:
            topics = self._topics.setdefault(key, {})
            if len(topics) < MAX_TOPICS:
                topics[topic] = None
            first = key not in self._logged
            self._logged.add(key)
        if first and self._logs:
            log.error("the broker refuses %s %s (%s); it is not logged again", action, topic, reason)

    def accepted(self, topic: str) -> None:
        """Note that the broker has accepted a message on `topic`."""
        if not self._topics:
            return
        with self._lock:
            for key in [key for key, topics in self._topics.items() if key[0] == "messages on" and topic in topics]:
                del self._topics[key][topic]
                if not self._topics[key]:
                    del self._topics[key]
                    self._logged.discard(key)

    def clear(self) -> None:
        """Forget the refused topics, on a new connection; what was logged is not logged again."""
        with self._lock:
            self._topics.clear()

    def lines(self) -> list[str]:
        """Return a line for each action and reason."""
        with self._lock:
            return [_line(*key, list(topics)) for key, topics in self._topics.items()]


def _line(action: str, reason: str, topics: list[str]) -> str:
    more = len(topics) - 1
    others = f" and {more} more topic{'' if more == 1 else 's'}" if more else ""
    return f"the broker refuses {action} {topics[0]}{others} ({reason})"

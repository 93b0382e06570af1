"""The retained messages of this node as it has published them, to notice what others publish on the same topics."""

import threading
from collections import deque

from genrewatch.sinks.mqtt.message import Message, Received

MAX_ECHOES = 16
"""Own messages of a topic that may still come back."""


class RetainedMessages:
    """The newest payload of each retained topic; any thread may call any method."""

    def __init__(self) -> None:
        self._hashes: dict[str, deque[int]] = {}
        self._lock = threading.Lock()

    def add(self, message: Message) -> None:
        """Note a message that is published."""
        if message.retain:
            with self._lock:
                own = self._hashes.setdefault(message.topic, deque(maxlen=MAX_ECHOES))
                own.append(hash(message.payload))

    def is_overwritten_by(self, received: Received, *, echoes: bool) -> bool:
        """Return True for a new message on a topic of this node with a payload that is not this node's.

        `echoes`: the broker also sends what this node publishes (MQTT 3.1.1), in the order of publication.
        """
        found = hash(received.payload)
        with self._lock:
            own = self._hashes.get(received.topic)
            if not own or received.retain:
                return False
            if echoes and found in own:
                while len(own) > 1 and own[0] != found:
                    own.popleft()
                if len(own) > 1:
                    own.popleft()
                return False
            return own[-1] != found

"""The daemon's messages in the order received, over MQTT or as JSON lines; a thread can wait for the next one."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genrewatch_drill.rig.results import CheckFailed

Kind = Literal["availability", "segment", "state", "health", "status"]
Test = Callable[[Mapping[str, Any]], bool]

_KIND_OF_TOPIC: dict[str, Kind] = {"state": "state", "votes": "segment", "health": "health"}


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of the daemon."""

    at: float
    """Time of arrival on the monotonic clock."""
    kind: Kind
    """`availability` and `status` have the field `online`; `segment` and `state` have those of the payload."""
    source: str
    """Id of the source; empty for the node."""
    body: Mapping[str, Any]


class MessageLog:
    """All messages so far; any thread may add and any thread may wait."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._added = threading.Condition()

    def add(self, message: Message) -> None:
        """Append a message and wake the threads that wait."""
        with self._added:
            self._messages.append(message)
            self._added.notify_all()

    def of(self, source: str, kind: Kind, *, since: float = 0.0, until: float = float("inf")) -> list[Message]:
        """Return the messages of a source between two times, in order."""
        with self._added:
            messages = list(self._messages)
        return [m for m in messages if m.source == source and m.kind == kind and since <= m.at <= until]

    def still_online(self) -> list[str]:
        """Return the sources, and `the node`, whose newest availability is online."""
        newest: dict[str, bool] = {}
        with self._added:
            for message in self._messages:
                if message.kind in ("availability", "status"):
                    newest[message.source or "the node"] = message.body["online"]
        return [name for name, online in newest.items() if online]

    def wait(
        self, source: str, kind: Kind, test: Test = lambda body: True, *, since: float = 0.0, within_s: float
    ) -> Message:
        """Return the first message since a time that passes the test; CheckFailed when none arrives in time."""
        deadline = time.monotonic() + within_s
        checked = 0
        with self._added:
            while True:
                for message in self._messages[checked:]:
                    if (message.source, message.kind) == (source, kind) and message.at >= since and test(message.body):
                        return message
                checked = len(self._messages)
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise CheckFailed(f"no such {kind} of {source or 'the node'} within {within_s:g} s")
                self._added.wait(left_s)


def message_of_publish(topic: str, payload: bytes | bytearray) -> Message | None:
    """Parse what the node publishes under genrewatch/NODE/; None for topics that no check needs."""
    at, levels, text = time.monotonic(), topic.split("/")[2:], payload.decode()
    source, last = ("", levels[0]) if len(levels) == 1 else (levels[0], levels[1])
    if last == "status":
        return Message(at=at, kind="status", source="", body={"online": text == "online"})
    if last == "availability":
        return Message(at=at, kind="availability", source=source, body={"online": text == "online"})
    if last in _KIND_OF_TOPIC:
        return Message(at=at, kind=_KIND_OF_TOPIC[last], source=source, body=json.loads(text))
    return None


def messages_of_line(line: str) -> list[Message]:
    """Parse a line of `listen --json`, which may hold a segment and a state in one."""
    at, body = time.monotonic(), json.loads(line)
    source = body.get("source", "")
    if "availability" in body:
        body = {"online": body["availability"] == "online", "why": body["why"]}
        return [Message(at=at, kind="availability", source=source, body=body)]
    if "reason" in body:
        kinds: tuple[Kind, ...] = ("segment", "state") if "start_s" in body else ("state",)
        return [Message(at=at, kind=kind, source=source, body=body) for kind in kinds]
    if "title" in body:
        return [Message(at=at, kind="state", source=source, body={"reason": None, **body})]
    return []

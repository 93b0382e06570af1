"""Commands that a node takes over MQTT: switch a source on or off, and, where it is allowed, change the bundle or a
setting, or correct a spell.

Everything that is not exactly such a command, or was retained by the broker, is ignored and counted.
"""

import json
from collections.abc import Collection
from typing import Protocol

from genrewatch.contract.ids import is_id
from genrewatch.history.corrections import is_label
from genrewatch.inference.settings import Value, parse_setting
from genrewatch.sinks.mqtt.message import Received
from genrewatch.sinks.mqtt.topics import OFF, ON, Topics

MAX_BYTES = 256
"""Longest payload of a command; a longer message is ignored."""


class CommandHandler(Protocol):
    """Carries out commands. The connection's thread calls it, so it must not block."""

    def set_listening(self, source_id: str, on: bool) -> None:
        """Switch a source on or off."""

    def set_bundle(self, name: str) -> None:
        """Change the model."""

    def set_setting(self, source_id: str, key: str, value: Value) -> None:
        """Change a setting of a source."""

    def correct(self, source_id: str, seq: int | None, label: str | None) -> None:
        """Correct a spell of a source; without `seq` the present one, and without a label withdraw."""

    def publish_health(self) -> None:
        """Publish a health message soon."""


class CommandReceiver:
    """Passes commands to a handler, and counts them."""

    def __init__(
        self,
        topics: Topics,
        source_ids: Collection[str],
        settable: Collection[str] = (),
        *,
        corrections: bool = False,
    ) -> None:
        """`source_ids` may change; `settable` are the keys of the settings that commands can change, `corrections`
        allows `correct/set`."""
        self._topics, self._source_ids, self._settable = topics, source_ids, settable
        self._corrections = corrections
        self.accepted = self.ignored = 0
        self.handler: CommandHandler | None = None
        """While it is None, all commands are ignored."""

    def on_message(self, received: Received) -> None:
        """Pass a message to the handler if it is a command."""
        if self.handler is not None and not received.retain and len(received.payload) <= MAX_BYTES:
            if received.topic == self._topics.bundle_command:
                return self._set_bundle(received.payload, self.handler)
            source_id, _, last = received.topic.removeprefix(self._topics.root + "/").partition("/")
            if source_id in self._source_ids and last == "listen/set" and received.payload in (ON, OFF):
                self.accepted += 1
                return self.handler.set_listening(source_id, received.payload == ON)
            if source_id in self._source_ids and last == "correct/set":
                return self._correct(source_id, received.payload, self.handler)
            if source_id in self._source_ids and last.startswith("setting/") and last.endswith("/set"):
                return self._set_setting(source_id, last.split("/")[1], received.payload, self.handler)
        self.ignored += 1
        return None

    def take_over(self, before: "CommandReceiver") -> None:
        """Go on with the handler and the counts of another connection's receiver."""
        self.handler, self.accepted, self.ignored = before.handler, before.accepted, before.ignored

    def request_health(self) -> None:
        """Ask the handler, if there is one, for a health message."""
        if self.handler is not None:
            self.handler.publish_health()

    def _set_setting(self, source_id: str, key: str, payload: bytes, handler: CommandHandler) -> None:
        value = parse_setting(key, payload.decode("ascii", errors="replace"))
        if key in self._settable and value is not None:
            self.accepted += 1
            handler.set_setting(source_id, key, value)
        else:
            self.ignored += 1

    def _correct(self, source_id: str, payload: bytes, handler: CommandHandler) -> None:
        wanted = parse_correction(payload) if self._corrections else None
        if wanted is not None:
            self.accepted += 1
            handler.correct(source_id, *wanted)
        else:
            self.ignored += 1

    def _set_bundle(self, payload: bytes, handler: CommandHandler) -> None:
        name = payload.decode("ascii", errors="replace")
        if is_id(name):
            self.accepted += 1
            handler.set_bundle(name)
        else:
            self.ignored += 1


def parse_correction(payload: bytes) -> tuple[int | None, str | None] | None:
    """Return `seq` and label of `{"seq": NUMBER or null, "label": LABEL or null}`; None for any other payload."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or "label" not in body or not body.keys() <= {"seq", "label"}:
        return None
    seq, label = body.get("seq"), body["label"]
    good = (seq is None or (type(seq) is int and 0 < seq < 2**62)) and (label is None or is_label(label))
    return (seq, label) if good else None

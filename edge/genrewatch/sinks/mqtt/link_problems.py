"""The problems of a node's connection: refusals, a second client with its id, messages that are too large, defects."""

import logging
import secrets
import traceback

from genrewatch.sinks.mqtt.client import LARGEST_PACKET, MqttClient
from genrewatch.sinks.mqtt.refusals import Refusals

SHORT_S = 30.0
"""A connection that is lost earlier was short."""
SHORT_IN_A_ROW = 4
"""Short connections that ended without a reason, after which another client is suspected to use the same id: MQTT 3.1.1
and Mosquitto give none."""
TOO_LARGE_IN_A_ROW = 2
"""Connections that end with a packet that is too large, after which nothing is subscribed to."""

log = logging.getLogger(__name__)


class LinkProblems:
    """Problems of a node's connections; the connection's thread updates them."""

    def __init__(self, node: str) -> None:
        self._node = self.client_id = node
        self.refusals = Refusals()
        """What the broker refuses."""
        self._lines: dict[str, None] = {}
        self._defects: set[str] = set()
        self._short = self._too_large = 0
        self._suspected: str | None = None  # the line of the suspicion, empty when it was wrong

    @property
    def may_read(self) -> bool:
        """False once subscriptions have brought too large a packet on each connection."""
        return self._too_large < TOO_LARGE_IN_A_ROW

    def lines(self) -> list[str]:
        """Return what does not work, a line each."""
        return [*self._lines, *self.refusals.lines()]

    def on_disconnect(self, client: MqttClient, held_s: float) -> None:
        """Handle the end of a connection that lasted `held_s`."""
        self._short = self._short + 1 if held_s < SHORT_S else 0
        if self.may_read:
            self._too_large = self._too_large + 1 if client.too_large else 0
        if not self.may_read:
            self._add(
                f"the broker sends packets larger than {LARGEST_PACKET} bytes on the command topics: "
                "commands are not received until genrewatch is restarted"
            )
        if client.taken_over:
            self._use_another_id("uses")
        elif self.client_id != self._node and self._short and self._suspected:
            self._use_own_id()
        elif self._short >= SHORT_IN_A_ROW and self._may_suspect(client):
            self._suspected = self._use_another_id("seems to use")

    def on_no_connection(self) -> None:
        """Handle a failed attempt: with a second client of the same id, an attempt succeeds at once."""
        self._short = 0

    def on_defect(self, exc: Exception) -> str:
        """Log an exception that is a defect of genrewatch, the first time with its traceback; return a short reason."""
        place = traceback.extract_tb(exc.__traceback__)[-1:]
        key = f"{type(exc).__name__} {place}"
        if key not in self._defects:
            self._defects.add(key)
            log.error("a defect has ended the connection to the broker; reconnecting", exc_info=exc)
        self._lines[f"a defect has ended the connection to the broker: {type(exc).__name__} (see the log)"] = None
        return f"a defect of genrewatch: {type(exc).__name__}"

    def _may_suspect(self, client: MqttClient) -> bool:
        own_fault = client.too_large or client.defect is not None
        return self.client_id == self._node and self._suspected is None and not own_fault

    def _use_another_id(self, verb: str) -> str:
        """Avoid that two clients with one id disconnect each other for ever; return the problem's line."""
        self.client_id = f"{self._node}-{secrets.token_hex(3)}"
        line = f"another client {verb} the id {self._node} at the broker: give each node an id of its own (--node)"
        self._add(line)
        return line

    def _use_own_id(self) -> None:
        """Withdraw the suspicion: connections with another id are short, too."""
        self._lines.pop(self._suspected or "", None)
        self.client_id, self._suspected = self._node, ""

    def _add(self, line: str) -> None:
        if line not in self._lines:
            self._lines[line] = None
            log.error("%s", line)

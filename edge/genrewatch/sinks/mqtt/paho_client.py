"""paho's client with a bound on what it reads, and a network thread whose end and progress can be seen."""

import time
from collections.abc import Callable
from typing import Any, Literal

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

PACKET_TOO_LARGE = 149
"""Reason code."""


class PacketTooLarge(ConnectionAbortedError):
    """The broker sends a packet larger than the limit."""


class PahoClient(Client):
    """A paho client for one connection.

    In MQTT 3.1.1 a client cannot announce the largest packet that it takes, so the connection is ended instead.
    """

    def __init__(self, *arguments: Any, largest_packet: int, on_end: Callable[[Exception | None], None], **more: Any):
        """`on_end` is called in the network thread when it ends, with the exception that ended it."""
        super().__init__(*arguments, **more)
        self._largest_packet, self._on_end = largest_packet, on_end
        self.progress_s = time.monotonic()
        """Monotonic time at which the network thread last made progress; it does so each second."""
        self.too_large = False
        """True when the connection was ended because of a packet that is too large."""

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        """Run the network loop; an exception of the loop or of a callback ends it and goes to `on_end`."""
        defect: Exception | None = None
        try:
            return super().loop_forever(timeout, retry_first_connection)
        except Exception as exc:
            defect = exc
            return MQTTErrorCode.MQTT_ERR_UNKNOWN
        finally:
            self._on_end(defect)

    def loop_misc(self) -> MQTTErrorCode:
        """Note the progress and do paho's housekeeping."""
        self.progress_s = time.monotonic()
        return super().loop_misc()

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        """Handle a PUBACK, also with `Packet too large`, which Mosquitto sends though MQTT 5 has it only elsewhere."""
        try:
            return super()._handle_pubackcomp(cmd)
        except MalformedPacket:
            packet = bytes(self._in_packet["packet"])
            if packet[2:3] != bytes([PACKET_TOO_LARGE]):
                raise
        packet_id, reason = (
            int.from_bytes(packet[:2], "big"),
            ReasonCode(PacketTypes.DISCONNECT, identifier=PACKET_TOO_LARGE),
        )
        with self._out_message_mutex:
            if packet_id in self._out_messages:
                return self._do_on_publish(packet_id, reason, Properties(PacketTypes.PUBACK))  # type: ignore[no-untyped-call]
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _sock_recv(self, bufsize: int) -> bytes:
        # paho asks for the rest of a packet at once, so the first call has the size of the whole packet.
        if bufsize > self._largest_packet:
            self.too_large = True
            raise PacketTooLarge(f"a packet of {bufsize} bytes")
        return super()._sock_recv(bufsize)

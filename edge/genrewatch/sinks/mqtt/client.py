"""One connection to a broker in one version of the protocol, from CONNECT to its end.

A paho client is bound to a protocol version, so every attempt to connect makes a new one. Messages in flight are lost
with the connection: the sink publishes everything that still holds on the next birth.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

from paho.mqtt.client import (
    MQTT_CLEAN_START_FIRST_ONLY,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTMessageInfo,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from genrewatch.contract.errors import os_error_reason
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.limits import Limits, packet_size
from genrewatch.sinks.mqtt.message import Message, Received
from genrewatch.sinks.mqtt.paho_client import PahoClient
from genrewatch.sinks.mqtt.properties import connect_properties, publish_properties, will_properties
from genrewatch.sinks.mqtt.refusals import Refusals
from genrewatch.sinks.mqtt.subacks import Subacks

CONNECT_TIMEOUT_S = 5.0
CONNACK_TIMEOUT_S = 5.0
STALLED_S = 30.0
"""Time without progress after which paho's thread counts as stalled; it makes progress each second."""
QUEUED_MESSAGES = 5000
"""Messages that paho queues beyond those in flight: enough for a birth with hundreds of sources, not for an outage."""
LARGEST_PACKET = 65_536
"""Largest packet that the broker may send, bytes."""
FILTERS = 20
"""Topic filters in one SUBSCRIBE."""
UNSUPPORTED_PROTOCOL_VERSION, SESSION_TAKEN_OVER, WILL_REFUSED = 132, 142, (154, 155)
"""Reason codes; the last are `retain not supported` and `QoS not supported`."""
LOGIN_REFUSALS = (134, 135, 138, 140)
"""Reason codes: bad user name or password, not authorized, banned, bad authentication method."""


class Outcome(Enum):
    """The result of an attempt to connect."""

    CONNECTED = "connected"
    OTHER_PROTOCOL = "the broker does not support this protocol version"
    NO_REPLY = "the broker does not answer CONNECT"
    WILL_REFUSED = "the broker refuses the retain flag or the QoS of the will"
    REFUSED = "the broker refuses the login"
    UNREACHABLE = "no broker answers"


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """Callbacks of a client; paho's thread calls them, so they must not block."""

    on_message: Callable[[Received], None] = lambda received: None
    on_publish: Callable[[int, bool], None] = lambda mid, accepted: None
    """Called on the PUBACK of a QoS 1 message with its packet id, and whether the broker accepted it."""
    refusals: Refusals = field(default_factory=Refusals)
    """Receives what the broker refuses."""


class MqttClient:
    """A paho client and the state of its connection, which paho's thread updates."""

    def __init__(
        self,
        config: MqttConfig,
        client_id: str,
        protocol: str,
        will: Message | None,
        tls: ssl.SSLContext | None,
        callbacks: Callbacks,
        largest_packet: int = LARGEST_PACKET,
    ):
        self._config, self.protocol, self.is_v5 = config, protocol, protocol == "5"
        self._largest_packet = largest_packet
        self._client = PahoClient(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if self.is_v5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            transport="tcp" if config.endpoint.path is None else "websockets",
            largest_packet=largest_packet,
            on_end=self._on_end,
        )
        self.why = ""
        """Why there is no connection (any more): the broker's reason code or the system's error."""
        self.limits = Limits()
        """The limits that the broker has announced."""
        self.taken_over = False
        """True when the broker has ended the connection because another client uses the client id."""
        self.defect: Exception | None = None
        """The exception that has ended paho's thread, if one has."""
        self._outcome: Outcome | None = None
        self._answered, self._ended = threading.Event(), threading.Event()
        self._topics: dict[int, str] = {}  # of QoS 1 messages in flight, by packet id
        self._callbacks = callbacks
        self.subacks = Subacks(lambda topic, reason: callbacks.refusals.add("subscriptions to", topic, reason))
        """The replies to subscriptions."""
        self._configure(will, tls)

    def _configure(self, will: Message | None, tls: ssl.SSLContext | None) -> None:
        client = self._client
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_queued_messages_set(QUEUED_MESSAGES)
        client.username_pw_set(self._config.username, self._config.password)
        if will is not None:
            properties = will_properties(will_delay_s=self._config.will_delay_s) if self.is_v5 else None
            client.will_set(will.topic, will.payload, will.qos, will.retain, properties)
        if tls is not None:
            client.tls_set_context(tls)
        if self._config.endpoint.path is not None:
            client.ws_set_options(self._config.endpoint.path)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_message, client.on_publish = self._on_message, self._on_publish
        client.on_subscribe = self._on_subscribe

    def connect(self) -> Outcome:
        """Connect and wait for CONNACK, at most about 10 s; a failed attempt is cleaned up."""
        host, port, keepalive_s = self._config.endpoint.host, self._config.endpoint.port, self._config.keepalive_s
        properties = connect_properties(will_delay_s=self._config.will_delay_s, largest_packet=self._largest_packet)
        try:
            if self.is_v5:
                self._client.connect(host, port, keepalive_s, clean_start=False, properties=properties)
            else:
                self._client.connect(host, port, keepalive_s, clean_start=MQTT_CLEAN_START_FIRST_ONLY)
        except OSError as exc:
            self.why = os_error_reason(exc)
            return Outcome.UNREACHABLE
        self._client.loop_start()
        if not self._answered.wait(CONNACK_TIMEOUT_S):
            self.why = f"no answer to CONNECT within {CONNACK_TIMEOUT_S:g} s"
        outcome = self._outcome or Outcome.NO_REPLY
        if outcome is not Outcome.CONNECTED:
            self.close()
        return outcome

    def publish(self, message: Message) -> MQTTMessageInfo | None:
        """Queue a message in paho; return None if its queue is full or the broker does not take so large a message."""
        message = self.limits.apply(message)
        if not self.takes(message):
            return None
        properties = publish_properties(message) if self.is_v5 else None
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return None
        if message.qos:
            self._topics[info.mid] = message.topic
        return info

    def takes(self, message: Message) -> bool:
        """Return True if the broker reads so large a message; one that it does not read is added to the refusals."""
        message = self.limits.apply(message)
        if self.limits.fits(packet_size(message, publish_properties(message) if self.is_v5 else None)):
            return True
        limit = f"larger than its limit of {self.limits.maximum_packet_size} bytes"
        self._callbacks.refusals.add("messages on", message.topic, limit)
        return False

    def subscribe(self, topics: Sequence[str], *, foreign: bool = False) -> None:
        """Subscribe to topics at QoS 1; `foreign` leaves out this client's messages and retained ones, in MQTT 5."""
        qos = min(1, self.limits.maximum_qos)
        options = SubscribeOptions(qos=qos, noLocal=foreign, retainHandling=2 if foreign else 0)
        for start in range(0, len(topics), FILTERS):
            filters = topics[start : start + FILTERS]
            if self.is_v5:
                _, mid = self._client.subscribe([(topic, options) for topic in filters])
            else:
                _, mid = self._client.subscribe([(topic, qos) for topic in filters])
            if mid is not None and not foreign:
                self.subacks.requested(mid, filters)

    @property
    def is_stalled(self) -> bool:
        """True if paho's thread makes no progress."""
        return time.monotonic() - self._client.progress_s > STALLED_S

    @property
    def too_large(self) -> bool:
        """True when the connection has ended because the broker sent too large a packet."""
        return self._client.too_large

    def wait_disconnected(self, timeout_s: float | None = None) -> bool:
        """Wait until the connection is lost or closed; return False after `timeout_s`."""
        return self._ended.wait(timeout_s)

    def disconnect(self) -> None:
        """Send DISCONNECT, so that the broker discards the will; `wait_disconnected` returns soon after."""
        self._client.disconnect()

    def close(self) -> None:
        """Close the connection if it is open, and stop paho's thread; one that is stalled is abandoned."""
        if self.is_stalled:
            connection = self._client.socket()
            with suppress(OSError):
                if isinstance(connection, socket.socket):
                    connection.shutdown(socket.SHUT_RDWR)  # `close` would free a descriptor that the thread still uses
            return
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self, client: Client, userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self.why = str(reason).lower()
        if not reason.is_failure:
            self.limits = Limits.of(properties)
            # paho's setter refuses to change it on a connection, though nothing is published before this.
            self._client._max_inflight_messages = self.limits.in_flight
            self._outcome = Outcome.CONNECTED
        elif reason.value == UNSUPPORTED_PROTOCOL_VERSION:
            self._outcome = Outcome.OTHER_PROTOCOL
        elif reason.value in WILL_REFUSED:
            self._outcome = Outcome.WILL_REFUSED
        else:
            self._outcome = Outcome.REFUSED if reason.value in LOGIN_REFUSALS else Outcome.UNREACHABLE
        self._answered.set()

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:  # MQTT forbids it, but not every broker refuses it
            topic = ""
        self._callbacks.on_message(Received(topic=topic, payload=bytes(message.payload), retain=message.retain))

    def _on_publish(
        self, client: Client, userdata: object, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        topic = self._topics.pop(mid, None)
        if reason.is_failure:
            self._callbacks.refusals.add("messages on", topic or "a topic", str(reason).lower())
        elif topic is not None:
            self._callbacks.refusals.accepted(topic)
        self._callbacks.on_publish(mid, not reason.is_failure)

    def _on_subscribe(
        self, client: Client, userdata: object, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        self.subacks.replied(mid, [str(reason).lower() if reason.is_failure else None for reason in reasons])

    def _on_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        from_broker = flags.is_disconnect_packet_from_server
        self.taken_over = from_broker and reason.value == SESSION_TAKEN_OVER
        if self._outcome in (None, Outcome.CONNECTED):
            self.why = str(reason).lower() if from_broker else "the connection was lost"
        if self.too_large:
            self.why = f"the broker sent a packet larger than {self._largest_packet} bytes"
        self._answered.set()
        self._ended.set()

    def _on_end(self, defect: Exception | None) -> None:
        if defect is not None:
            self.defect, self.why = defect, f"a defect of genrewatch: {type(defect).__name__}"
        self._answered.set()
        self._ended.set()

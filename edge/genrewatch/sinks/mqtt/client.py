"""One connection to a broker in one version of the protocol, from CONNECT to its end.

A paho client is bound to a protocol version, so every attempt to connect makes a new one. Messages in flight are lost
with the connection: the sink publishes everything that still holds on the next birth.
"""

import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from genrewatch.contract.errors import os_error_reason
from genrewatch.sinks.mqtt.config import MqttConfig

CONNECT_TIMEOUT_S = 5.0
CONNACK_TIMEOUT_S = 5.0
QUEUED_MESSAGES = 5000
"""Messages that paho queues beyond its 20 in flight: enough for a birth with hundreds of sources, not for an outage."""
LARGEST_PACKET = 65_536
"""Largest packet that the broker may send, bytes."""
UNSUPPORTED_PROTOCOL_VERSION = 132
LOGIN_REFUSALS = (134, 135, 138, 140)
"""Reason codes: bad user name or password, not authorized, banned, bad authentication method."""
JSON_SCHEMA = "schema"


class Outcome(Enum):
    """The result of an attempt to connect."""

    CONNECTED = "connected"
    OTHER_PROTOCOL = "the broker does not support this protocol version"
    REFUSED = "the broker refuses the login"
    UNREACHABLE = "no broker answers"


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message to publish, in either protocol version."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    schema: str | None = None
    """Name of the JSON payload's schema; None for plain text."""
    expiry_s: int | None = None
    """Message expiry interval, seconds (MQTT 5)."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """A message that arrived on a subscription."""

    topic: str
    payload: bytes
    retain: bool
    """True for a message that the broker had retained before the subscription."""


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """Callbacks of a client; paho's thread calls them, so they must not block."""

    on_message: Callable[[Received], None] = lambda received: None
    on_publish: Callable[[int, bool], None] = lambda mid, accepted: None
    """Called on the PUBACK of a QoS 1 message with its packet id, and whether the broker accepted it."""


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
    ):
        self._config, self.protocol, self.is_v5 = config, protocol, protocol == "5"
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if self.is_v5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        self.why = ""
        """Why there is no connection (any more): the broker's reason code or the system's error."""
        self._outcome: Outcome | None = None
        self._answered, self._ended = threading.Event(), threading.Event()
        self._client.connect_timeout = CONNECT_TIMEOUT_S
        self._client.max_queued_messages_set(QUEUED_MESSAGES)
        self._client.username_pw_set(config.username, config.password)
        if will is not None:
            self._client.will_set(will.topic, will.payload, will.qos, will.retain, self._will_properties())
        if tls is not None:
            self._client.tls_set_context(tls)
        self._callbacks = callbacks
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_disconnect = self._on_disconnect

    def connect(self) -> Outcome:
        """Connect and wait for CONNACK, at most about 10 s; a failed attempt is cleaned up."""
        host, port, _ = self._config.endpoint
        try:
            if self.is_v5:
                self._client.connect(
                    host, port, self._config.keepalive_s, clean_start=False, properties=self._connect_properties()
                )
            else:
                self._client.connect(host, port, self._config.keepalive_s, clean_start=MQTT_CLEAN_START_FIRST_ONLY)
        except OSError as exc:
            self.why = os_error_reason(exc)
            return Outcome.UNREACHABLE
        self._client.loop_start()
        if not self._answered.wait(CONNACK_TIMEOUT_S):
            self.why = f"no answer to CONNECT within {CONNACK_TIMEOUT_S:g} s"
        outcome = self._outcome or Outcome.OTHER_PROTOCOL
        if outcome is not Outcome.CONNECTED:
            self.close()
        return outcome

    def publish(self, message: Message) -> MQTTMessageInfo | None:
        """Queue a message in paho; return None if its queue is full."""
        retain = message.retain
        properties = _publish_properties(message) if self.is_v5 else None
        info = self._client.publish(message.topic, message.payload, message.qos, retain, properties)
        return info if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe to topics at QoS 1."""
        if topics:
            self._client.subscribe([(topic, 1) for topic in topics])

    def wait_disconnected(self) -> None:
        """Wait until the connection is lost or closed."""
        self._ended.wait()

    def disconnect(self) -> None:
        """Send DISCONNECT, so that the broker discards the will; `wait_disconnected` returns soon after."""
        self._client.disconnect()

    def close(self) -> None:
        """Close the connection if it is open, and stop paho's thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self, client: Client, userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self.why = str(reason).lower()
        if not reason.is_failure:
            self._outcome = Outcome.CONNECTED
        elif reason.value == UNSUPPORTED_PROTOCOL_VERSION:
            self._outcome = Outcome.OTHER_PROTOCOL
        else:
            self._outcome = Outcome.REFUSED if reason.value in LOGIN_REFUSALS else Outcome.UNREACHABLE
        self._answered.set()

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        received = Received(topic=message.topic, payload=bytes(message.payload), retain=message.retain)
        self._callbacks.on_message(received)

    def _on_publish(
        self, client: Client, userdata: object, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._callbacks.on_publish(mid, not reason.is_failure)

    def _on_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if self._outcome in (None, Outcome.CONNECTED):
            self.why = str(reason).lower() if flags.is_disconnect_packet_from_server else "the connection was lost"
        self._answered.set()
        self._ended.set()

    def _connect_properties(self) -> Properties:
        properties = _properties(PacketTypes.CONNECT)
        # The will is sent at the latest when the session expires, so the session must outlive the will's delay.
        properties.SessionExpiryInterval = self._config.will_delay_s + 1
        properties.MaximumPacketSize = LARGEST_PACKET
        return properties

    def _will_properties(self) -> Properties | None:
        if not self.is_v5:
            return None
        properties = _properties(PacketTypes.WILLMESSAGE)
        properties.WillDelayInterval = self._config.will_delay_s
        properties.PayloadFormatIndicator = 1
        return properties


def connect(
    config: MqttConfig,
    client_id: str,
    will: Message | None,
    tls: ssl.SSLContext | None,
    callbacks: Callbacks | None = None,
) -> tuple[MqttClient, Outcome]:
    """Try to connect once: in MQTT 5, then in 3.1.1 if the broker does not support 5 or closed before CONNACK."""
    for protocol in ("5", "3.1.1") if config.protocol == "auto" else (config.protocol,):
        client = MqttClient(config, client_id, protocol, will, tls, callbacks or Callbacks())
        outcome = client.connect()
        if outcome is not Outcome.OTHER_PROTOCOL:
            break
    return client, outcome


def _publish_properties(message: Message) -> Properties:
    properties = _properties(PacketTypes.PUBLISH)
    properties.PayloadFormatIndicator = 1
    properties.ContentType = "text/plain" if message.schema is None else "application/json"
    if message.schema is not None:
        properties.UserProperty = (JSON_SCHEMA, message.schema)
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    return properties


def _properties(packet_type: int) -> Properties:
    return Properties(packet_type)  # type: ignore[no-untyped-call]

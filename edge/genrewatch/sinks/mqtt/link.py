"""One connection to a broker, from CONNECT to its end, in one version of the protocol.

A client object of paho's is bound to a version, so a link is made afresh for every attempt. What was in flight when
it broke is dropped with it: the sink says everything again on the next birth.
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
"""That paho holds beyond its 20 in flight: a birth with hundreds of sources, not an outage."""
LARGEST_PACKET = 65_536
"""Bytes that we let a broker send us at a time."""
UNSUPPORTED_PROTOCOL_VERSION = 132
LOGIN_REFUSALS = (134, 135, 138, 140)
"""Reason codes: bad user name or password, not authorized, banned, bad authentication method."""
JSON_SCHEMA = "schema"


class Outcome(Enum):
    """How an attempt to connect ended."""

    CONNECTED = "connected"
    OTHER_PROTOCOL = "the broker does not speak this version, or hung up on it"
    REFUSED = "the broker refuses the login"
    UNREACHABLE = "no broker answers"


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is published, whatever the protocol."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    schema: str | None = None
    """Name of the JSON payload's schema; None for plain text."""
    expiry_s: int | None = None
    """With MQTT 5, seconds after which the broker forgets it."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """What comes in over a subscription."""

    topic: str
    payload: bytes
    retain: bool
    """Whether the broker had kept it from an earlier time."""


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """Who is told what happens on a link, from paho's thread; nobody may wait there."""

    on_message: Callable[[Received], None] = lambda received: None
    on_receipt: Callable[[int, bool], None] = lambda mid, accepted: None
    """A message of QoS 1 has been acknowledged: its number, and whether the broker took it."""


class Link:
    """A client object and what became of it. Its events are set from paho's thread."""

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
        """The broker's or the system's word on why there is no connection (any more)."""
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

    def open(self) -> Outcome:
        """Connects and waits for the broker's answer, at most some 10 s; whatever fails is tidied up."""
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
        """Hands a message to paho's thread; None if it takes no more."""
        retain = message.retain
        properties = _publish_properties(message) if self.is_v5 else None
        info = self._client.publish(message.topic, message.payload, message.qos, retain, properties)
        return info if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def subscribe(self, topics: Sequence[str]) -> None:
        """Asks for what is said on these topics from now on."""
        if topics:
            self._client.subscribe([(topic, 1) for topic in topics])

    def wait_ended(self) -> None:
        """Waits until the connection is lost or closed."""
        self._ended.wait()

    def hang_up(self) -> None:
        """Sends DISCONNECT, so that the broker keeps the will to itself; `wait_ended` returns soon after."""
        self._client.disconnect()

    def close(self) -> None:
        """Ends the connection if it still is, and paho's thread."""
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
        self._callbacks.on_receipt(mid, not reason.is_failure)

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
        # The will waits no longer than the session lasts, so the session must outlive the delay.
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
) -> tuple[Link, Outcome]:
    """One attempt: in 5, then at once in 3.1.1 if the broker did not understand or hung up before CONNACK."""
    for protocol in ("5", "3.1.1") if config.protocol == "auto" else (config.protocol,):
        link = Link(config, client_id, protocol, will, tls, callbacks or Callbacks())
        outcome = link.open()
        if outcome is not Outcome.OTHER_PROTOCOL:
            break
    return link, outcome


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

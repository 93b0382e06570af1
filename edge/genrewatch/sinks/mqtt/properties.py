"""The MQTT 5 properties of the packets that a client sends."""

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from genrewatch.sinks.mqtt.message import Message

JSON_SCHEMA = "schema"
"""Name of the user property that holds the schema of a JSON payload."""


def connect_properties(*, will_delay_s: int, largest_packet: int) -> Properties:
    """Return the properties of CONNECT; `largest_packet` is the size that the broker may send, bytes."""
    properties = _properties(PacketTypes.CONNECT)
    # The will is sent at the latest when the session expires, so the session must outlive the will's delay.
    properties.SessionExpiryInterval = will_delay_s + 1
    properties.MaximumPacketSize = largest_packet
    return properties


def will_properties(*, will_delay_s: int) -> Properties:
    """Return the properties of the will."""
    properties = _properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = will_delay_s
    properties.PayloadFormatIndicator = 1
    return properties


def publish_properties(message: Message) -> Properties:
    """Return the properties of a PUBLISH."""
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

"""One attempt to connect: in MQTT 5, and in 3.1.1 with a broker that does not support 5."""

import ssl
from dataclasses import replace

from genrewatch.sinks.mqtt.client import LARGEST_PACKET, Callbacks, MqttClient, Outcome
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.message import Message


def connect(
    config: MqttConfig,
    client_id: str,
    will: Message | None,
    tls: ssl.SSLContext | None,
    callbacks: Callbacks | None = None,
    *,
    largest_packet: int = LARGEST_PACKET,
) -> tuple[MqttClient, Outcome]:
    """Try to connect once, in the configured version of the protocol or in the one that the broker supports.

    A broker that does not answer a CONNECT of MQTT 5 may support only 3.1.1, or may have been frozen. So one that then
    accepts 3.1.1 is asked for MQTT 5 again.
    """

    def attempt(protocol: str) -> tuple[MqttClient, Outcome]:
        return _connect(config, client_id, protocol, will, tls, callbacks or Callbacks(), largest_packet)

    if config.protocol != "auto":
        return attempt(config.protocol)
    client, outcome = attempt("5")
    if outcome is Outcome.OTHER_PROTOCOL:
        return attempt("3.1.1")
    if outcome is Outcome.NO_REPLY:
        older, outcome_of_older = attempt("3.1.1")
        if outcome_of_older is not Outcome.CONNECTED:
            return older, outcome_of_older
        older.close()
        client, outcome = attempt("5")
        if outcome is not Outcome.CONNECTED:
            return attempt("3.1.1")
    return client, outcome


def _connect(
    config: MqttConfig,
    client_id: str,
    protocol: str,
    will: Message | None,
    tls: ssl.SSLContext | None,
    callbacks: Callbacks,
    largest_packet: int,
) -> tuple[MqttClient, Outcome]:
    """Connect, with the will that the broker supports: retained, not retained, QoS 0."""
    wills = [will] if will is None else [will, replace(will, retain=False), replace(will, retain=False, qos=0)]
    for possible in wills:
        client = MqttClient(config, client_id, protocol, possible, tls, callbacks, largest_packet)
        outcome = client.connect()
        if outcome is not Outcome.WILL_REFUSED:
            break
    return client, outcome

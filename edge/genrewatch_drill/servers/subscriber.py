"""An MQTT client that subscribes to topics of a local broker and passes each message to a callback."""

import threading
from collections.abc import Callable, Sequence

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from genrewatch.contract.errors import GenrewatchError

READY_S = 15.0


class Subscriber:
    """One connection, without reconnecting; a context manager.

    The retain flag of a message is set when the broker had retained it before the subscription.
    """

    def __init__(
        self,
        port: int,
        on_message: Callable[[MQTTMessage], None],
        *,
        topics: Sequence[str] = ("#",),
        v5: bool = True,
        login: tuple[str, str] | None = None,
    ) -> None:
        """`on_message` runs in the client's thread."""
        protocol = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=protocol, reconnect_on_failure=False)
        if login:
            self._client.username_pw_set(*login)
        self._port = port
        self._subscribed, self._disconnected = threading.Event(), threading.Event()
        self._client.on_message = lambda _client, _userdata, message: on_message(message)
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in topics])
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_disconnect = lambda *_: self._disconnected.set()

    def connect(self) -> None:
        """Connect and wait for the SUBACK; GenrewatchError when none arrives."""
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        if not self._subscribed.wait(READY_S):
            raise GenrewatchError(f"the subscriber on port {self._port}", "no SUBACK", "a broker that accepts it")

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publish with QoS 1 and wait for the PUBACK."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(READY_S)

    def close(self, *, broker_gone: bool = False) -> None:
        """Disconnect; with `broker_gone`, first receive everything that the killed broker had sent."""
        if broker_gone:
            self._disconnected.wait(READY_S)
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> "Subscriber":
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

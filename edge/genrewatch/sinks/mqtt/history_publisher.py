"""Publishes records of the history at QoS 1 and reports which of them the broker has acknowledged."""

from collections.abc import Callable

from genrewatch.history.delivery import Kind
from genrewatch.sinks.mqtt.acknowledgements import Acknowledgements
from genrewatch.sinks.mqtt.connection import Connection
from genrewatch.sinks.mqtt.message import Message
from genrewatch.sinks.mqtt.topics import Topics


class HistoryPublisher:
    """The history's transport over MQTT, see `HistoryTransport`; any thread may call any method."""

    def __init__(self, connection: Connection, topics: Topics) -> None:
        self._connection, self._topics = connection, topics
        self._acknowledgements = Acknowledgements()
        self.on_change: Callable[[], None] = lambda: None
        """Called on a new connection and when `acknowledgements` has something to return; must not block."""

    @property
    def connection_number(self) -> int:
        """See `HistoryTransport`."""
        return self._connection.number

    def takes(self, source_id: str, payload: bytes, kind: Kind = "history") -> bool:
        """See `HistoryTransport`."""
        return self._connection.takes(self._message(source_id, payload, kind))

    def publish(self, source_id: str, payload: bytes, kind: Kind = "history") -> int | None:
        """See `HistoryTransport`."""
        packet_id = self._connection.publish_with_id(self._message(source_id, payload, kind))
        if packet_id is not None and self._acknowledgements.track(packet_id):
            self.on_change()
        return packet_id

    def acknowledgements(self) -> list[tuple[int, bool]]:
        """See `HistoryTransport`."""
        return self._acknowledgements.take()

    def on_publish(self, packet_id: int, accepted: bool) -> None:
        """Handle an acknowledgement of the broker's."""
        if self._acknowledgements.add(packet_id, accepted):
            self.on_change()

    def on_disconnect(self) -> None:
        """Handle the loss of the connection."""
        self._acknowledgements.clear_in_flight()

    def _message(self, source_id: str, payload: bytes, kind: Kind) -> Message:
        topics = self._topics
        return (topics.correction if kind == "correction" else topics.history)(source_id, payload)

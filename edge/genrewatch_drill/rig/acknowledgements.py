"""The records of the history that the broker has acknowledged, as seen by a proxy between nodes and broker."""

import threading
from collections import defaultdict

from genrewatch_drill.rig.mqtt_packets import CONNECT, PacketSplitter, acknowledged_id, is_v5, parse_publish, record_key


class Acknowledgements:
    """The records whose PUBACK has passed the proxy, over all connections."""

    def __init__(self) -> None:
        self._seqs: defaultdict[str, set[int]] = defaultdict(set)
        self._lock = threading.Lock()

    def of(self, node: str) -> set[int]:
        """Return the `seq` of the acknowledged records of a node."""
        with self._lock:
            return set(self._seqs[node])

    def add(self, node: str, seq: int) -> None:
        """Note the PUBACK of a record."""
        with self._lock:
            self._seqs[node].add(seq)

    def tap(self) -> "AcknowledgementTap":
        """Return the observer of a new connection."""
        return AcknowledgementTap(self)


class AcknowledgementTap:
    """Matches the PUBACKs of one connection with its publishes."""

    def __init__(self, acknowledgements: Acknowledgements) -> None:
        self._acknowledgements = acknowledgements
        self._from_node, self._from_broker = PacketSplitter(), PacketSplitter()
        self._in_flight: dict[int, tuple[str, int]] = {}
        """(node, seq) by packet id."""
        self._v5 = True

    def client_sent(self, data: bytes) -> None:
        """Note the packet ids of published records."""
        for packet in self._from_node.push(data):
            if packet[0] >> 4 == CONNECT:
                self._v5 = is_v5(packet[1])
            publish = parse_publish(packet, v5=self._v5)
            key = record_key(publish) if publish else None
            if publish and key:
                self._in_flight[publish.packet_id] = key

    def server_sent(self, data: bytes) -> None:
        """Note the records whose packet ids are acknowledged."""
        for packet in self._from_broker.push(data):
            packet_id = acknowledged_id(packet)
            key = self._in_flight.pop(packet_id, None) if packet_id is not None else None
            if key:
                self._acknowledgements.add(*key)

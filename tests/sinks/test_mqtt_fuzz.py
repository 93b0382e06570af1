"""Packets of a broker with wrong bytes, lengths and types: the connection is made again, and publishing goes on."""

import random

import pytest
from tests.sinks.mqtt_rig import JAZZ, running_sink

from genrewatch.sinks.mqtt import link_problems
from genrewatch_drill.servers.scripted_broker import ScriptedBroker, publish_packet, scripted_broker

COMMAND = b"genrewatch/box/mic/listen/set"
PACKETS = (
    publish_packet(COMMAND, b"OFF"),
    publish_packet(b"genrewatch/box/status", b"offline"),
    publish_packet(b"genrewatch/\xff", b"\0" * 300),
    b"\x40\x04\x00\x01\x00\x00",  # PUBACK
    b"\x90\x04\x00\x01\x00\x01",  # SUBACK
    b"\xd0\x00",  # PINGRESP
    b"\xe0\x02\x8b\x00",  # DISCONNECT
    b"\x20\x03\x00\x00\x00",  # CONNACK
)


def wrong_packets(count: int, seed: int) -> list[bytes]:
    """Return packets with changed, missing and additional bytes."""
    random_ = random.Random(seed)
    packets = []
    for _ in range(count):
        data = bytearray(b"".join(random_.choices(PACKETS, k=random_.choice((1, 1, 3)))))
        for _ in range(random_.choice((1, 2, 6))):
            place = random_.randrange(len(data))
            piece = random_.choice((b"", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0", random_.randbytes(1)))
            data[place : place + random_.randrange(3)] = piece
            data = data or bytearray(b"\0")
        packets.append(bytes(data))
    return packets


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_wrong_packets_never_mute_the_sink(monkeypatch: pytest.MonkeyPatch, protocol: str, count: int) -> None:
    monkeypatch.setattr(link_problems, "TOO_LARGE_IN_A_ROW", 10**6)  # after which nothing is subscribed to
    broker = ScriptedBroker(first_packets=wrong_packets(count, seed=count), drops_after_first_packet=True)
    with (
        scripted_broker(broker),
        running_sink(f"mqtt://127.0.0.1:{broker.port}", settings={"protocol": protocol}) as sink,
    ):
        broker.wait_until(lambda: not broker.first_packets, 2 * count)
        broker.topics.clear()
        sink.on_result("mic", JAZZ)
        broker.wait_for("mic/state", 30)

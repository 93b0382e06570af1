"""PCM in packets: how a child that knows what it has lost says so, at the very place of the stream.

    header   "GWPK"  u32 sample rate  u32 channels                  12 bytes; all numbers little-endian
    packet   u32 lost  u32 n_bytes  n_bytes of interleaved s16le    `lost` samples are missing before this packet

The standard library alone, because whoever writes it should stay small.
"""

import struct

MAGIC = b"GWPK"
MOST_LOST = 2**32 - 1
_HEADER, _PACKET = struct.Struct("<4sII"), struct.Struct("<II")
HEADER_BYTES, PACKET_BYTES = _HEADER.size, _PACKET.size


def header(rate: int, channels: int) -> bytes:
    """What a stream begins with."""
    return _HEADER.pack(MAGIC, rate, channels)


def packet(lost: int, data: bytes) -> bytes:
    """PCM before which `lost` samples (of every channel) are missing."""
    return _PACKET.pack(min(lost, MOST_LOST), len(data)) + data


def parse_header(data: bytes) -> tuple[int, int]:
    """Header -> rate, channels."""
    _, rate, channels = _HEADER.unpack(data)
    return rate, channels


def parse_packet(data: bytes) -> tuple[int, int]:
    """The first bytes of a packet -> samples lost, bytes that follow."""
    lost, n_bytes = _PACKET.unpack(data)
    return lost, n_bytes

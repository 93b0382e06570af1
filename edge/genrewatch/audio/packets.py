"""PCM in packets, by which a child process reports lost samples at their place in the stream.

    header   "GWPK"  u32 sample rate  u32 channels                  12 bytes; all numbers little-endian
    packet   u32 lost  u32 n_bytes  n_bytes of interleaved s16le    `lost` samples are missing before this packet

Only the standard library is imported, so that the child that writes packets stays small.
"""

import struct

MAGIC = b"GWPK"
MAX_LOST = 2**32 - 1
_HEADER, _PACKET = struct.Struct("<4sII"), struct.Struct("<II")
HEADER_BYTES, PACKET_BYTES = _HEADER.size, _PACKET.size


def header(rate: int, channels: int) -> bytes:
    """Return the header of a stream."""
    return _HEADER.pack(MAGIC, rate, channels)


def packet(lost: int, data: bytes) -> bytes:
    """Return a packet of PCM before which `lost` samples (of every channel) are missing."""
    return _PACKET.pack(min(lost, MAX_LOST), len(data)) + data


def parse_header(data: bytes) -> tuple[int, int]:
    """Parse a header into rate and channels."""
    _, rate, channels = _HEADER.unpack(data)
    return rate, channels


def parse_packet(data: bytes) -> tuple[int, int]:
    """Parse the first bytes of a packet into samples lost and bytes that follow."""
    lost, n_bytes = _PACKET.unpack(data)
    return lost, n_bytes

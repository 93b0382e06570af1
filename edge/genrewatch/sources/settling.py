"""Reads from a pipe that gather what arrives at once after a wait, so that jitter is distinguished from a pause."""

import time

from genrewatch.host.pipe_reader import PipeReader
from genrewatch.host.times import elapsed_s
from genrewatch.sources.sound_clock import PAUSE_S

SETTLE_S = 0.3
"""Seconds in which a network or a player that was only late delivers its backlog."""


def read_settled(reader: PipeReader, n: int) -> bytes:
    """Return 1 to n bytes, none at the end; after a wait of more than `PAUSE_S`, all that follows within `SETTLE_S`."""
    began = elapsed_s()
    data = reader.read(n)
    return settle(reader, data, n) if data and elapsed_s() - began > PAUSE_S else data


def settle(reader: PipeReader, data: bytes, n: int) -> bytes:
    """Return `data` and what follows it within `SETTLE_S`, up to n bytes."""
    pieces, size, deadline = [data], len(data), time.monotonic() + SETTLE_S
    while size < n and reader.wait(max(0.0, deadline - time.monotonic())):
        more = reader.read(n - size)
        if not more:
            break
        pieces.append(more)
        size += len(more)
    return b"".join(pieces)

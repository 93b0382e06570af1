"""ICY metadata: a block of text after every `icy-metaint` bytes of sound."""

import re
from collections.abc import Callable

from genrewatch.sources.tuner.http import Read

_TITLE = re.compile(rb"StreamTitle='(.*?)'\s*(?:;|\0|$)(?=\s*\w+=|\0|\s*$)", re.DOTALL)


def without_metadata(read: Read, interval: int, on_title: Callable[[bytes], None]) -> Read:
    """Return a reader of the sound alone; each title is passed to `on_title` as bytes of any code page."""
    left = [interval]

    def read_sound(n: int) -> bytes:
        if not left[0]:
            size = 16 * int.from_bytes(_exactly(read, 1))
            found = _TITLE.search(_exactly(read, size))
            if found:
                on_title(found[1])
            left[0] = interval
        piece = read(min(n, left[0]))
        left[0] -= len(piece)
        return piece

    return read_sound


def _exactly(read: Read, n: int) -> bytes:
    data = b""
    while len(data) < n and (piece := read(n - len(data))):
        data += piece
    return data

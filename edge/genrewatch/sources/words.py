"""What a child's lines on standard error mean: why it ended, and what a station says of itself."""

import html
import re
from typing import Protocol

from genrewatch.sources.source import NowPlaying

LONGEST = 200  # characters of anything that comes from outside and is shown
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);")


class Words(Protocol):
    """Listens to one life of a child; `line` is called in a thread of its own."""

    def line(self, line: bytes) -> None:
        """A line of standard error."""

    def why(self, code: int) -> str | None:
        """Why a child that ended by itself, with that exit code, did so; None where it has not said."""

    def playing(self) -> NowPlaying | None:
        """What the station says of itself and what it plays; None where nothing is known."""

    def lost_s(self) -> float:
        """Seconds of sound that it has said are lost since this was last asked."""


class LastWords:
    """Any program: its last line says why it ended, if it ended with an error."""

    def __init__(self) -> None:
        self._last = ""

    def line(self, line: bytes) -> None:
        """See `Words`."""
        self._last = printable(line) or self._last

    def why(self, code: int) -> str | None:
        """See `Words`."""
        return (self._last or f"exit code {code}") if code else None

    def playing(self) -> NowPlaying | None:
        """See `Words`."""
        return None

    def lost_s(self) -> float:
        """See `Words`."""
        return 0.0


def printable(said: bytes) -> str:
    """Bytes of unknown origin -> one short line of printable characters: UTF-8, else Latin-1; entities resolved."""
    try:
        text = said.decode()
    except UnicodeDecodeError:
        text = said.decode("latin-1")
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), text[: 10 * LONGEST])
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST]

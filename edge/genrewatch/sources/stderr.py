"""Parsers of a child's standard error: why it ended, how much it lost, what a station plays."""

from typing import Protocol

from genrewatch.host.untrusted_text import decode_text, redacted_line
from genrewatch.sources.source import NowPlaying


class StderrParser(Protocol):
    """Parses the standard error of one child process."""

    def feed(self, line: bytes) -> None:
        """Take the next line; called in the thread that drains the pipe."""

    def reason(self, code: int) -> str | None:
        """Return why the child ended by itself with that exit code; None where no line explains it."""

    def now_playing(self) -> NowPlaying | None:
        """Return the station and its title; None where neither is known."""

    def take_lost_s(self) -> float:
        """Return the seconds of sound reported as lost since the last call."""


class LastLine:
    """Any program: its last line explains an exit code that is not 0."""

    def __init__(self) -> None:
        self._last = b""

    def feed(self, line: bytes) -> None:
        """See `StderrParser`."""
        self._last = line if line.strip() else self._last

    def reason(self, code: int) -> str | None:
        """See `StderrParser`."""
        return (redacted_line(decode_text(self._last)) or f"exit code {code}") if code else None

    def now_playing(self) -> NowPlaying | None:
        """See `StderrParser`; always None."""
        return None

    def take_lost_s(self) -> float:
        """See `StderrParser`; always 0."""
        return 0.0

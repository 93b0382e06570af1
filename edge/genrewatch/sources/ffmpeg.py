"""The parser of ffmpeg's standard error (`-loglevel level+verbose`): why a stream ended, its station, its titles.

[http @ 0x55f8] [warning] HTTP error 404 Not Found
[error] http://host/live: Server returned 404 Not Found
[info] Input #0, mp3, from 'http://host/live':
[info]     icy-name        : Test FM
[http @ 0x55f8] [verbose] Metadata update for StreamTitle: Artist - Title

The tuner, which becomes ffmpeg and serves it, prints lines of the same form:

[info] tuner: station Test FM
[info] tuner: title Artist - Title
[info] tuner: way 0a1b2c3d more
[info] tuner: playlist
[error] tuner: 404 Not Found
"""

import re
import time

from genrewatch.host.untrusted_text import decode_line, decode_text, redacted_line
from genrewatch.sources.source import NowPlaying

FRESH_S = 10.0  # an older error does not explain why a stream ends now
NO_REASON = "server closed"
_NO_TITLES = (b"rtsp", b"sdp", b"concat")  # the name of their session is no title

_LINE = re.compile(rb"^(?:\[[^]]* @ [^]]*\] )?\[(panic|fatal|error|warning|info|verbose)\] (.*)$")
_UPDATE = re.compile(rb"^Metadata update for StreamTitle: (.*)$")
_TUNER = re.compile(rb"^tuner: (station|title|way|playlist) ?(.*)$")
_TAG = re.compile(rb"^ +([A-Za-z-]+) *: (.*)$")
_REASONS = [  # pattern, reason to show; a URL at the start of the line has been removed
    (re.compile(r"^HTTP error (\d{3}.*)"), "{}"),
    (re.compile(r"^method \w+ failed: (\d{3}.*)"), "{}"),  # RTSP
    (re.compile(r"^Failed to resolve hostname (\S+: .*)"), "{}"),
    (re.compile(r"^Connection to \S+ failed: (.*)"), "{}"),
    (re.compile(r"^(Connection (?:refused|reset by peer|timed out)|(?:Network|No route|Host) .*)"), "{}"),
    (re.compile(r"^Stream ends prematurely"), NO_REASON),
    (re.compile(r"^Protocol '(\w+)' not on whitelist"), "a {} address is not allowed in a playlist"),
    (re.compile(r"^(?:.*: )?Protocol not found"), "this ffmpeg does not know the protocol"),
    (re.compile(r"matches no streams"), "no sound in it"),
    (re.compile(r"^Invalid data found"), "not a stream that ffmpeg knows"),
    (re.compile(r"^End of file"), "server closed without an answer"),
    (re.compile(r"^tuner: (.*)"), "{}"),
]


class FfmpegStderr:
    """The standard error of one ffmpeg."""

    def __init__(self) -> None:
        self.ways: list[str] = []
        """Keys of the ways to a station that the tuner has tried."""
        self.more_ways = False
        """Whether the tuner knows a way that it has not tried."""
        self._format = b""  # ffmpeg's name for the input's container
        self._tags: dict[bytes, str] = {}
        self._in_input = False
        self._reason: tuple[float, str] | None = None
        self._by_tuner = False  # whether the reason is the tuner's, which comes before what ffmpeg makes of it
        self._last_error = ""

    def feed(self, line: bytes) -> None:
        """See `StderrParser`."""
        found = _LINE.match(line.rstrip(b"\r"))
        if not found:
            return
        level, text = found.groups()
        if level == b"info":
            self._note_info(text)
        elif level == b"verbose":
            if update := _UPDATE.match(text):
                self._tags[b"streamtitle"] = decode_line(update[1])
        else:
            self._note_error(decode_text(text), error=level != b"warning")

    def reason(self, code: int) -> str | None:
        """See `StderrParser`."""
        if self._reason and self._is_fresh():
            return self._reason[1]
        return (self._last_error or f"ffmpeg's exit code {code}") if code else NO_REASON

    def now_playing(self) -> NowPlaying | None:
        """See `StderrParser`."""
        tags = dict(self._tags)
        if self._format in _NO_TITLES:
            tags.pop(b"title", None)
        by = " - ".join(tags[key] for key in (b"artist", b"title") if tags.get(key))
        playing = NowPlaying(station=tags.get(b"icy-name") or None, title=tags.get(b"streamtitle") or by or None)
        return None if playing == NowPlaying() else playing

    def take_lost_s(self) -> float:
        """See `StderrParser`; always 0."""
        return 0.0

    def _is_fresh(self) -> bool:
        return self._reason is not None and time.monotonic() - self._reason[0] < FRESH_S

    def _tuner_explains(self) -> bool:
        return self._by_tuner and self._is_fresh()

    def _note_info(self, text: bytes) -> None:
        if found := _TUNER.match(text):
            self._note_tuner(found[1], found[2])
        elif text.startswith(b"Input #0, "):
            self._in_input = True
            self._format = text[len(b"Input #0, ") :].split(b", from ")[0]
        elif text.startswith((b"Output #", b"Stream mapping")):
            self._in_input = False
        elif self._in_input and (tag := _TAG.match(text)):
            key = tag[1].lower()
            if key in (b"icy-name", b"streamtitle", b"artist", b"title"):
                self._tags[key] = decode_line(tag[2])

    def _note_tuner(self, what: bytes, text: bytes) -> None:
        if what == b"way":
            key, _, left = text.decode("ascii", "replace").partition(" ")
            self.ways.append(key)
            self.more_ways = left == "more"
        elif what == b"playlist":  # leads on, and so is no way itself
            self.ways = self.ways[:-1]
        else:
            self._tags[b"icy-name" if what == b"station" else b"streamtitle"] = decode_line(text)

    def _note_error(self, text: str, *, error: bool) -> None:
        text = redacted_line(re.sub(r"^(?:[a-z]{3,6}://\S+|pipe:0): ", "", text))
        if self._tuner_explains() and not text.startswith("tuner: "):
            return
        for pattern, reason in _REASONS:
            if found := pattern.search(text):
                self._reason = time.monotonic(), reason.format(*found.groups())
                self._by_tuner = text.startswith("tuner: ")
                return
        if error and "://" not in text:
            self._last_error = text

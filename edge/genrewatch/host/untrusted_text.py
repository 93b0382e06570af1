"""Text from outside (a child's stderr, a station's title, a server's answer, a URI) made safe to log and to publish."""

import html
import json
import re

MAX_CHARACTERS = 200
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);")
MAX_DECODED = 10 * MAX_CHARACTERS
MAX_HOST = 255
_WITH_HOST = {
    *("http", "https", "ws", "wss", "mqtt", "mqtts", "ftp", "icy", "icyx", "icecast"),
    *("rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "mms", "mmsh", "mmst", "srt", "udp", "rtp", "tcp", "tls", "file"),
}
_SCHEME = r"([A-Za-z][\w+.-]*)://"
_HOST = r"([\w.:%\[\]-]*)"
# A login ends at the last @ before the path. Where the colon is followed by no port, even a / belongs to the login.
_URL = re.compile(rf"\b{_SCHEME}([^\s/?#]*@|[^\s/?#@:]*:(?!\d{{1,5}}(?![^\s/?#]))\S*@)?{_HOST}(\S*)")
_WHOLE_URL = re.compile(rf"^{_SCHEME}([^/?#]*@|[^/?#@:]*:(?!\d{{1,5}}(?![^/?#])).*@)?{_HOST}(.*)", re.DOTALL)
_QUERY_VALUE = re.compile(r"(?<=[?&;])([^=&#;]*)=[^&#;]*")
_BARE_LOGIN = re.compile(r"(?<![^\s'\"(<=,])[^\s/@:'\"(<=,]+:[^\s@/]+@(?=[\w\[])")
_NAMED_SECRET = re.compile(
    r"\b((?:[\w-]*(?:passw(?:or)?d|passwd|passphrase|token|secret|api[_-]?key))|authorization)"
    r"(['\"]?\s*[:=]\s*)(?:(?:basic|bearer|digest)\s+)?\S+",
    re.IGNORECASE,
)


def one_line(text: str) -> str:
    """Return printable characters on one line, at most 200, with runs of white space as one space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_CHARACTERS]


def printable(text: str) -> str:
    """Replace each control character, such as those of a terminal's escape sequences, by U+FFFD; keeps the length."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def json_text(value: object) -> str:
    """Encode a value as one line of ASCII JSON, control characters escaped; ValueError for NaN and infinity."""
    return json.dumps(value, allow_nan=False).replace("\x7f", "\\u007f")  # DEL, which JSON need not escape


def csv_cell(value: object) -> object:
    """Return a value as in JSON, but text without quotes and control characters, and None as it is (an empty cell)."""
    if isinstance(value, str):
        return printable(value)
    return value if value is None else json_text(value)


def decode_text(data: bytes) -> str:
    """Decode UTF-8, else Latin-1, and resolve HTML entities; at most 2000 characters."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text[:MAX_DECODED])


def decode_line(data: bytes) -> str:
    """Return `one_line` of decoded bytes."""
    return one_line(decode_text(data))


def redacted_line(text: str) -> str:
    """Return `one_line` of what another program wrote, without its logins: the one way to show such a line."""
    text = _NAMED_SECRET.sub(r"\1\2...", redact_urls(text))
    return one_line(_BARE_LOGIN.sub("...@", text))


def redact_url(url: str) -> str:
    """Remove login and query values of a text that is one URL, which may hold spaces; others as `redact_urls`."""
    found = _WHOLE_URL.match(url)
    return _redacted(found, keep_path=True) if found else redact_urls(url, keep_path=True)


def redact_urls(text: str, *, keep_path: bool = False) -> str:
    """Reduce each URL in a text to its scheme and host; with `keep_path` only login and query values are removed."""
    return _URL.sub(lambda found: _redacted(found, keep_path=keep_path), text)


def _redacted(url: re.Match[str], *, keep_path: bool) -> str:
    scheme, login, host, rest = url.groups()
    if len(host) > MAX_HOST:  # the start of a login whose end was cut off
        return f"{scheme}://..."
    if scheme.lower() not in _WITH_HOST:  # an address of Apprise: in the place of the host is a token
        return f"{scheme}://..."
    if not keep_path:
        return f"{scheme}://{host}"
    return f"{scheme}://{'...@' if login else ''}{host}" + _QUERY_VALUE.sub(r"\1=...", rest)

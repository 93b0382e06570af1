"""Text from outside (a child's stderr, a station's title, a server's answer, a URI) made safe to log and to publish."""

import html
import json
import re

MAX_CHARACTERS = 200
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);")
_URL = re.compile(r"\b([A-Za-z][\w+.-]*)://([^\s/?#]*@)?([\w.:%\[\]-]*)([^\s\"'<>]*)")
_QUERY_VALUE = re.compile(r"(?<=[?&])([^=&#]*)=[^&#]*")


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


def decode_line(data: bytes) -> str:
    """Decode UTF-8, else Latin-1, resolve HTML entities and return `one_line` of it."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return one_line(_ENTITY.sub(lambda found: html.unescape(found[0]), text[: 10 * MAX_CHARACTERS]))


def redact_urls(text: str, *, keep_path: bool = False) -> str:
    """Reduce each URL in a text to its scheme and host; with `keep_path` only login and query values are removed."""

    def redacted(url: re.Match[str]) -> str:
        scheme, login, host, rest = url.groups()
        if not keep_path:
            return f"{scheme}://{host}"
        return f"{scheme}://{'...@' if login else ''}{host}" + _QUERY_VALUE.sub(r"\1=...", rest)

    return _URL.sub(redacted, text)

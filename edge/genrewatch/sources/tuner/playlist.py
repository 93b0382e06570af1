"""The entries of a playlist: .m3u, .pls, .asx, .xspf and what looks like them, in any code page."""

import codecs
import html
import re

from genrewatch.sources.tuner.addresses import joined

MAX_ENTRIES = 100
_XML_ENTRY = re.compile(
    r"<(?:ref|entryref)\b[^>]*?\bhref\s*=\s*(?:\"([^\"]*)\"|'([^']*)')|<location\b[^>]*>(.*?)</location>",
    re.IGNORECASE | re.DOTALL,
)
_NUMBERED = re.compile(r"^\s*(?:file|ref)\d+\s*=\s*(.*)$", re.IGNORECASE)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decode(data: bytes, charset: str | None = None) -> str:
    """Decode text by its byte order mark, else as UTF-8, else in `charset`, else in CP1252 or Latin-1."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    for encoding in ("utf-8", charset or "cp1252", "cp1252"):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("latin-1")


def entries(text: str, base: str) -> list[str]:
    """Return the absolute addresses in a playlist, in its order, at most MAX_ENTRIES; none where it has none."""
    if re.match(r"\s*<", text):
        found = [html.unescape("".join(groups)) for groups in _XML_ENTRY.findall(text)]
    else:
        lines = re.split(r"[\r\n]+", text)
        numbered = [line[1] for line in map(_NUMBERED.match, lines) if line]
        found = numbered or [line for line in lines if not line.lstrip().startswith(("#", "[", "--stop--"))]
    wanted = dict.fromkeys(entry.strip() for entry in found if entry.strip())
    return [_absolute(base, entry) for entry in list(wanted)[:MAX_ENTRIES]]


def _absolute(base: str, entry: str) -> str:
    try:
        return joined(base, entry)
    except (OSError, ValueError):  # for example an open bracket, or a host that is no name
        return entry

"""Times as people give them and read them: `2026-11-24 18:00`, RFC 3339, `3d` ago; and local time for print.

The history is kept in UTC; whoever asks for it thinks in the time of the box.
"""

import re
from datetime import UTC, datetime, timedelta

from genrewatch.contract.errors import ConfigError

EXPECTED = "a time: 2026-11-24, '2026-11-24 18:00', 2026-11-24T18:00:00+01:00, or so long ago: 30min, 2h, 3d"
UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)(?:\s+ago)?")


def parse_when(text: str, option: str, now_ms: int) -> int:
    """A time, milliseconds since 1970; one without an offset is local, a date is its midnight. ConfigError if none."""
    text = text.strip()
    try:
        if ago := _AGO.fullmatch(text):
            length = timedelta(**{UNITS[ago[2]]: float(ago[1])})
            at_ms = now_ms - length // timedelta(milliseconds=1)
        else:
            at_ms = round(datetime.fromisoformat(text).timestamp() * 1000)  # a naive one is taken for local
        local(at_ms)
    except (ValueError, OverflowError, OSError):
        raise ConfigError(option, f"found {text!r}", EXPECTED) from None
    return at_ms


def local(utc_ms: int) -> datetime:
    """Milliseconds since 1970 -> the time on the box's clock."""
    stamp = datetime.fromtimestamp(utc_ms // 1000, UTC).replace(microsecond=utc_ms % 1000 * 1000)
    return stamp.astimezone()


def local_words(utc_ms: int) -> str:
    """`2026-11-24 18:00:00`, local."""
    return local(utc_ms).strftime("%Y-%m-%d %H:%M:%S")


def clock_words(length_ms: int) -> str:
    """A length of time, to the second below: `0:12:34`."""
    seconds = length_ms // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"

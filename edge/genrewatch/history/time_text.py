"""A time as a person writes it: `2026-11-24 18:00`, RFC 3339, or a time ago such as `3d`."""

import re
from datetime import datetime, timedelta

from genrewatch.contract.errors import ConfigError
from genrewatch.host.times import local_time

EXPECTED = "a time: 2026-11-24, '2026-11-24 18:00', 2026-11-24T18:00:00+01:00, or a time ago: 30min, 2h, 3d"
UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)(?:\s+ago)?")


def parse_time(text: str, option: str, now_ms: int) -> int:
    """Parse a time into milliseconds since 1970; ConfigError if `text` is not a time.

    A time without an offset is local; a date means its midnight.
    """
    text = text.strip()
    try:
        if ago := _AGO.fullmatch(text):
            length = timedelta(**{UNITS[ago[2]]: float(ago[1])})
            at_ms = now_ms - length // timedelta(milliseconds=1)
        else:
            at_ms = round(datetime.fromisoformat(text).timestamp() * 1000)  # without an offset: local
        local_time(at_ms)  # a year beyond 9999 raises here
    except (ValueError, OverflowError, OSError):
        raise ConfigError(option, f"found {text!r}", EXPECTED) from None
    return at_ms

"""Hours of the day in local time, as a configuration writes them: `20:00-23:00`, `mon-fri 22:00-06:00`.

Hours over midnight belong to the day on which they begin. The comparison is with the wall clock, so an hour that is
skipped or repeated when summer time begins or ends is shorter or longer by it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from genrewatch.contract.errors import require

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FORM = "[DAYS ]HH:MM-HH:MM, as 20:00-23:00, mon-fri 22:00-06:00 or sat,sun 00:00-24:00"
_HOURS = re.compile(r"(?:([a-z,-]+) )?(\d\d):(\d\d)-(\d\d):(\d\d)")
DAY = 24 * 60


@dataclass(frozen=True, kw_only=True)
class LocalHours:
    """One range of hours on some days of the week."""

    days: frozenset[int]
    """Days on which it begins, 0 for Monday."""
    start: int
    """Minute of the day, 0 to 1439."""
    end: int
    """Minute after `start`'s midnight at which it ends, above `start`; beyond 1440 on the next day."""

    def contains(self, when: datetime) -> bool:
        """Return whether a local time is within it."""
        minute, day = 60 * when.hour + when.minute, when.weekday()
        today = day in self.days and self.start <= minute < self.end
        yesterday = (when - timedelta(days=1)).weekday()
        return today or (yesterday in self.days and minute + DAY < self.end)


def parse_hours(text: str, key: str) -> LocalHours:
    """Read a range of hours; raises ConfigError naming `key`."""
    match = _HOURS.fullmatch(text)
    require(match is not None, key, repr(text), FORM)
    assert match is not None
    start, end = (60 * int(match[2 * n]) + int(match[2 * n + 1]) for n in (1, 2))
    valid = start < DAY and end <= DAY and start != end and int(match[3]) < 60 and int(match[5]) < 60
    require(valid, key, repr(text), FORM)
    days = _days(match[1]) if match[1] else frozenset(range(7))
    require(bool(days), key, repr(text), FORM)
    return LocalHours(days=days, start=start, end=end if end > start else end + DAY)


def check_hours(texts: Sequence[str], key: str) -> None:
    """Raise ConfigError naming `key` unless each text is a range of hours."""
    for text in texts:
        parse_hours(text, key)


def within_hours(texts: Sequence[str], when: datetime) -> bool:
    """Return whether a local time is within one of the ranges."""
    return any(parse_hours(text, "hours").contains(when) for text in texts)


def _days(text: str) -> frozenset[int]:
    """Return the days of `mon-fri` or `sat,sun`; empty for other words."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            return frozenset()
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % 7 if dash else 0
        found.update((start + day) % 7 for day in range(length + 1))
    return frozenset(found)

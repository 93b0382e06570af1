"""Hours and days of local time as ranges of UTC, and division of amounts among them in whole milliseconds.

A day can have 23 or 25 hours, and an hour can occur twice: boundaries come from the time zone, never from counting.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from genrewatch.host.times import local_time

HOUR_MS = 3_600_000

Unit = Literal["hour", "day"]


def calendar_bins(start_ms: int, end_ms: int, unit: Unit, zone: tzinfo | None = None) -> Iterator[tuple[int, int]]:
    """Yield the hours or days that overlap [start_ms, end_ms), as (start, end) in UTC; `zone` None is the system's."""
    start = bin_start(start_ms, unit, zone)
    while True:
        end = _bin_end(start, unit, zone)
        yield start, end
        if end >= end_ms:
            return
        start = end


def bin_start(at_ms: int, unit: Unit, zone: tzinfo | None = None) -> int:
    """Return the start of the hour or day that contains `at_ms`."""
    if unit == "day":
        return _midnight(at_ms, 0, zone)
    offset_ms = _offset_ms(at_ms, zone)
    start = at_ms - (at_ms + offset_ms) % HOUR_MS
    return start if _offset_ms(start, zone) == offset_ms else _offset_change(start, at_ms, zone)


def apportion(amount: int, start_ms: int, end_ms: int) -> Callable[[int, int], int]:
    """Return a function of (part start, part end): the part of an amount spread evenly over [start_ms, end_ms).

    Each part is a difference of rounded running totals, so the parts of any partition add up to `amount` exactly.
    """

    def running_total(at_ms: int) -> int:
        return amount * (min(max(at_ms, start_ms), end_ms) - start_ms) // (end_ms - start_ms)

    return lambda part_start_ms, part_end_ms: running_total(part_end_ms) - running_total(part_start_ms)


def _bin_end(start_ms: int, unit: Unit, zone: tzinfo | None) -> int:
    if unit == "day":
        return _midnight(start_ms, 1, zone)
    offset_ms = _offset_ms(start_ms, zone)
    end = start_ms + HOUR_MS - (start_ms + offset_ms) % HOUR_MS
    return end if _offset_ms(end - 1, zone) == offset_ms else _offset_change(start_ms, end - 1, zone)


def _offset_ms(at_ms: int, zone: tzinfo | None) -> int:
    offset = local_time(at_ms, zone).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)


def _offset_change(before_ms: int, after_ms: int, zone: tzinfo | None) -> int:
    """Return the first time between the two that has the UTC offset of `after_ms`, by bisection."""
    new = _offset_ms(after_ms, zone)
    while after_ms - before_ms > 1:
        middle = (before_ms + after_ms) // 2
        before_ms, after_ms = (before_ms, middle) if _offset_ms(middle, zone) == new else (middle, after_ms)
    return after_ms


def _midnight(at_ms: int, days: int, zone: tzinfo | None) -> int:
    """Return the start of the local day `days` after that of `at_ms`."""
    day = local_time(at_ms, zone).date() + timedelta(days=days)
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000

"""Hours, days, weeks and months of local time as ranges of UTC, and amounts divided among them in whole milliseconds.

A day can have 23 or 25 hours, and an hour can occur twice: boundaries come from the time zone, never from counting.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, tzinfo
from typing import Literal

from genrewatch.host.times import local_time

HOUR_MS = 3_600_000

Unit = Literal["hour", "day", "week", "month"]
"""A week starts on Monday."""


def calendar_bins(start_ms: int, end_ms: int, unit: Unit, zone: tzinfo | None = None) -> Iterator[tuple[int, int]]:
    """Yield the units of time that overlap [start_ms, end_ms), as (start, end) in UTC; `zone` None is the system's."""
    start = bin_start(start_ms, unit, zone)
    while True:
        end = _bin_end(start, unit, zone)
        yield start, end
        if end >= end_ms:
            return
        start = end


def bin_start(at_ms: int, unit: Unit, zone: tzinfo | None = None) -> int:
    """Return the start of the unit of time that contains `at_ms`."""
    if unit != "hour":
        return _midnight(_first_day(local_time(at_ms, zone).date(), unit), zone)
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
    if unit != "hour":
        first = local_time(start_ms, zone).date()
        longest = timedelta(days={"day": 1, "week": 7, "month": 31}[unit])
        return _midnight(_first_day(first + longest, unit), zone)
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


def _first_day(day: date, unit: Unit) -> date:
    """Return the first day of the day, week or month that contains `day`."""
    if unit == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if unit == "week" else day


def _midnight(day: date, zone: tzinfo | None) -> int:
    """Return the start of a local day."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000

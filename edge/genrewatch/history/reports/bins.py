"""Hours and days of the box's own clock, as stretches of UTC, and how whole milliseconds are shared out among them.

A day can have 23 or 25 hours and an hour can come twice: borders are found by asking the time zone, never by counting.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from genrewatch.host.times import local_time

HOUR_MS = 3_600_000

Unit = Literal["hour", "day"]


def bins(start_ms: int, end_ms: int, unit: Unit, zone: tzinfo | None = None) -> Iterator[tuple[int, int]]:
    """The hours or days that [start_ms, end_ms) touches: (begin, end) in UTC.

    `zone` None is that of the system.
    """
    begin = floor(start_ms, unit, zone)
    while True:
        end = _next(begin, unit, zone)
        yield begin, end
        if end >= end_ms:
            return
        begin = end


def floor(at_ms: int, unit: Unit, zone: tzinfo | None = None) -> int:
    """Where the hour or day begins that `at_ms` lies in."""
    if unit == "day":
        return _midnight(at_ms, 0, zone)
    offset_ms = _offset_ms(at_ms, zone)
    begin = at_ms - (at_ms + offset_ms) % HOUR_MS
    return begin if _offset_ms(begin, zone) == offset_ms else _change(begin, at_ms, zone)


def share_out(amount: int, start_ms: int, end_ms: int) -> Callable[[int, int], int]:
    """How much of an amount that is spread evenly over [start_ms, end_ms) falls to a part of it, in whole numbers.

    Each is a difference of rounded running totals: the parts of any partition add up to the amount, however it is cut.
    """

    def until(at_ms: int) -> int:
        return amount * (min(max(at_ms, start_ms), end_ms) - start_ms) // (end_ms - start_ms)

    return lambda begin_ms, stop_ms: until(stop_ms) - until(begin_ms)


def _next(begin_ms: int, unit: Unit, zone: tzinfo | None) -> int:
    if unit == "day":
        return _midnight(begin_ms, 1, zone)
    offset_ms = _offset_ms(begin_ms, zone)
    end = begin_ms + HOUR_MS - (begin_ms + offset_ms) % HOUR_MS
    return end if _offset_ms(end - 1, zone) == offset_ms else _change(begin_ms, end - 1, zone)


def _offset_ms(at_ms: int, zone: tzinfo | None) -> int:
    offset = local_time(at_ms, zone).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)


def _change(before_ms: int, after_ms: int, zone: tzinfo | None) -> int:
    """The moment between the two from which on the offset is that of `after_ms`."""
    new = _offset_ms(after_ms, zone)
    while after_ms - before_ms > 1:
        middle = (before_ms + after_ms) // 2
        before_ms, after_ms = (before_ms, middle) if _offset_ms(middle, zone) == new else (middle, after_ms)
    return after_ms


def _midnight(at_ms: int, days: int, zone: tzinfo | None) -> int:
    """The beginning of the local day `days` after that of `at_ms`."""
    day = local_time(at_ms, zone).date() + timedelta(days=days)
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000

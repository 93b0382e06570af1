"""Hours of the day in local time, also over midnight."""

from datetime import datetime

import pytest

from genrewatch.contract.errors import ConfigError
from genrewatch.host.local_hours import parse_hours, within_hours

MONDAY, SATURDAY, SUNDAY = 23, 28, 29


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute)


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ("20:00-23:00", [at(MONDAY, 20), at(SUNDAY, 22, 59)], [at(MONDAY, 19, 59), at(MONDAY, 23)]),
        ("22:00-06:00", [at(MONDAY, 22), at(MONDAY, 5, 59), at(MONDAY, 0)], [at(MONDAY, 6), at(MONDAY, 21, 59)]),
        ("sat 22:00-06:00", [at(SATURDAY, 23), at(SUNDAY, 5)], [at(SATURDAY, 5), at(SUNDAY, 22)]),
        ("mon-fri 00:00-24:00", [at(MONDAY, 0), at(MONDAY, 23, 59)], [at(SATURDAY, 0), at(SUNDAY, 23, 59)]),
        ("fri-mon 08:00-09:00", [at(SATURDAY, 8), at(MONDAY, 8)], [at(MONDAY + 1, 8)]),
        ("sat,mon 08:00-09:00", [at(SATURDAY, 8), at(MONDAY, 8)], [at(SUNDAY, 8)]),
    ],
)
def test_hours_contain_their_times(hours: str, inside: list[datetime], outside: list[datetime]) -> None:
    assert all(within_hours([hours], when) for when in inside)
    assert not any(within_hours([hours], when) for when in outside)


def test_several_ranges_are_their_union_and_none_contains_nothing() -> None:
    assert within_hours(["08:00-09:00", "20:00-21:00"], at(MONDAY, 20))
    assert not within_hours([], at(MONDAY, 20))


@pytest.mark.parametrize(
    "text",
    ["", "8-9", "20:00-20:00", "24:00-25:00", "20:60-21:00", "20:00-24:01", "mo 08:00-09:00", "mon-  08:00-09:00"],
)
def test_other_text_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match=r"hours: found .*, expected \[DAYS \]HH:MM-HH:MM"):
        parse_hours(text, "hours")

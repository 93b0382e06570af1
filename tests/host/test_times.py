"""The start time as text: it stays unless the wall clock is set."""

from datetime import UTC, datetime, timedelta

from genrewatch.host.times import StartTime

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_start_time_stays_while_the_clocks_agree_and_follows_a_clock_that_is_set() -> None:
    start = StartTime()
    assert start.text(60.0, NOON) == "2026-11-22T11:59:00.000Z"
    assert start.text(90.0, NOON + timedelta(seconds=30.8)) == "2026-11-22T11:59:00.000Z"
    assert start.text(120.0, NOON + timedelta(hours=1)) == "2026-11-22T12:58:00.000Z"

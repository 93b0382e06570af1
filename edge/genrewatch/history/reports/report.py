"""Airtime: listening time by genre, silence, refusals and lost sound, per hour, day, week, month or source.

Pure: records in, a table of whole milliseconds out. The sound of a spell is divided among the hours or days it spans,
in proportion to time; the rows add up to the sound received and lost, to the millisecond.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Literal

from genrewatch.history.reports.calendar_bins import HOUR_MS, apportion, calendar_bins
from genrewatch.host.times import EARLIEST_MS, rfc3339_to_ms

By = Literal["hour", "day", "week", "month", "source"]

SILENCE, DEAD_AIR, NOT_MUSIC, REFUSED, LOST = "silence", "dead_air", "not_music", "refused", "lost"
WARMING_UP = "warming_up"
CLOCK_ERROR_MS = 60_000
"""Largest accepted difference of a spell's length between wall clock and monotonic clock, if no step is recorded."""
HOURS: Mapping[By, int] = {"hour": 1, "day": 24, "week": 168, "month": 730}
"""Length of a row, about."""
NO_GENRE = (SILENCE, DEAD_AIR, NOT_MUSIC, REFUSED, WARMING_UP, LOST)
"""Kinds of time without a genre: `refused` includes unknown music, `warming_up` is sound before the first full vote,
`lost` is missing sound and outages."""


@dataclass(kw_only=True)
class Row:
    """The listening time of an hour, day, week, month or source, milliseconds."""

    name: str = ""
    """The source id, in a report by source."""
    start_ms: int | None = None
    """Start of the hour, day, week or month, in UTC."""
    end_ms: int | None = None
    genres: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    """Time without a genre, by kind of `NO_GENRE`."""

    @property
    def listened_ms(self) -> int:
        """Sound received and lost, milliseconds."""
        return self.genres.total() + self.others.total()


@dataclass(kw_only=True)
class UnsetTime:
    """Spells whose time is unknown, because the clock was not set yet."""

    spells: int = 0
    ms: int = 0


@dataclass(frozen=True, kw_only=True)
class Report:
    """The rows in order, their total, and the columns."""

    by: By
    rows: list[Row]
    total: Row
    genres: list[str]
    """Genres that occur, most airtime first."""
    others: list[str]
    """Kinds of `NO_GENRE` that occur."""
    unset: UnsetTime = field(default_factory=UnsetTime)
    """Spells that are not counted."""


def build_report(
    records: Iterable[Mapping[str, Any]],
    by: By,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    zone: tzinfo | None = None,
) -> Report:
    """Add up the airtime of the spells within the range; `zone` None is that of the system."""
    rows: dict[Any, Row] = {}
    bins: list[tuple[int, int]] = []
    for record in records:
        interval = spell_interval(record)
        first_ms = interval[0] if since_ms is None else max(interval[0], since_ms)
        last_ms = interval[1] if until_ms is None else min(interval[1], until_ms)
        if first_ms >= last_ms:
            continue
        if by == "source":
            row = rows.setdefault(record["source"], Row(name=record["source"]))
            _add(row, record, interval, (first_ms, last_ms))
            continue
        if not bins or first_ms < bins[-1][0] or last_ms > bins[-1][1]:
            bins = list(calendar_bins(first_ms, last_ms, by, zone))
        else:
            bins = bins[-1:]  # nearly always: the spell is in the bin of the spell before it
        for start, end in bins:
            row = rows.setdefault(start, Row(start_ms=start, end_ms=end))
            _add(row, record, interval, (max(start, first_ms), min(end, last_ms)))
    return _with_total(by, [row for _, row in sorted(rows.items()) if row.listened_ms])


def spell_interval(record: Mapping[str, Any]) -> tuple[int, int]:
    """Return start and end of a spell in milliseconds; if the wall clock was set meanwhile, the monotonic clock counts.

    If the clock was not set at the start and was at the end, the end is right. The interval is at least a millisecond
    long, so that it overlaps a bin.
    """
    start_ms, end_ms = rfc3339_to_ms(record["start"]), rfc3339_to_ms(record["end"])
    length_ms = round(1000 * (record["mono_end_s"] - record["mono_start_s"]))
    if start_ms < EARLIEST_MS <= end_ms:
        start_ms = end_ms - length_ms
    elif record["clock_step_s"] or abs(end_ms - start_ms - length_ms) > CLOCK_ERROR_MS:
        end_ms = start_ms + length_ms
    return start_ms, max(end_ms, start_ms + 1)


def bins_spanned(report: Report) -> int:
    """Return about how many rows of time lie between the first and the last row; for sources, the number of rows."""
    first, last = (report.rows[0].start_ms, report.rows[-1].end_ms) if report.rows else (None, None)
    if first is None or last is None:
        return len(report.rows)
    return round((last - first) / HOUR_MS / HOURS.get(report.by, 24))


def fill_gaps(report: Report, zone: tzinfo | None = None) -> list[Row]:
    """Return the rows, with empty ones for the hours, days, weeks or months between them without sound."""
    if report.by == "source" or not report.rows:
        return report.rows
    by_start = {row.start_ms: row for row in report.rows}
    start_ms, end_ms = report.rows[0].start_ms, report.rows[-1].end_ms
    assert start_ms is not None
    assert end_ms is not None
    bins = calendar_bins(start_ms, end_ms, report.by, zone)
    return [by_start.get(start) or Row(start_ms=start, end_ms=end) for start, end in bins]


def _add(row: Row, record: Mapping[str, Any], interval: tuple[int, int], part: tuple[int, int]) -> None:
    """Add the part of a spell that overlaps the row."""
    received_ms = apportion(round(1000 * record["heard_s"]), *interval)(*part)
    if record["genre"] is not None and not record["dead_air"]:
        row.genres[record["genre"]] += received_ms
    else:
        row.others[_kind(record)] += received_ms
    row.others[LOST] += apportion(round(1000 * record["lost_s"]), *interval)(*part)


def _kind(record: Mapping[str, Any]) -> str:
    if record["dead_air"]:
        return DEAD_AIR
    return record["reason"] if record["reason"] in (SILENCE, NOT_MUSIC, WARMING_UP) else REFUSED


def _with_total(by: By, rows: list[Row]) -> Report:
    total = Row(name="total")
    for row in rows:
        total.genres.update(row.genres)
        total.others.update(row.others)
    genres = [genre for genre, ms in sorted(total.genres.items(), key=lambda item: (-item[1], item[0])) if ms]
    others = [other for other in NO_GENRE if total.others[other]]
    return Report(by=by, rows=rows, total=total, genres=genres, others=others)

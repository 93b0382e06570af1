"""Airtime: how the time listened divides among genres, silence and the rest, by hour, by day or by source.

Pure: records in, a table of whole milliseconds out. What is in a spell goes to the hours or days that it lasted
through, in proportion and without loss, so that all rows together are what was heard and missed, to the millisecond.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Literal

from genrewatch.history.reports.bins import bins, share_out
from genrewatch.host.times import rfc3339_to_ms

By = Literal["hour", "day", "source"]

SILENCE, DEAD_AIR, NOT_MUSIC, REFUSED, LOST = "silence", "dead_air", "not_music", "refused", "lost"
NO_GENRE = (SILENCE, DEAD_AIR, NOT_MUSIC, REFUSED, LOST)
"""What time without a genre is called. `refused` includes warming up; `lost` is sound that is missing or never came."""


@dataclass(kw_only=True)
class Row:
    """How a stretch of time, or the time of a source, divides; milliseconds."""

    name: str = ""
    """The source, if it is one's."""
    start_ms: int | None = None
    """Of the hour or day, in UTC."""
    end_ms: int | None = None
    genres: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    """By one of `NO_GENRE`."""

    @property
    def listened_ms(self) -> int:
        """Sound heard and sound missing."""
        return self.genres.total() + self.others.total()


@dataclass(frozen=True, kw_only=True)
class Report:
    """The rows in order, what they add up to, and what has a column."""

    by: By
    rows: list[Row]
    total: Row
    genres: list[str]
    """That occur, most airtime first."""
    others: list[str]
    """Those of `NO_GENRE` that occur."""


def report(
    records: Iterable[Mapping[str, Any]],
    by: By,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    zone: tzinfo | None = None,
) -> Report:
    """The airtime of spells, as far as they lie in the range; `zone` None is that of the system."""
    rows: dict[Any, Row] = {}
    latest: list[tuple[int, int]] = []
    for record in records:
        start_ms, end_ms = lasted(record)
        first_ms = start_ms if since_ms is None else max(start_ms, since_ms)
        last_ms = end_ms if until_ms is None else min(end_ms, until_ms)
        if first_ms >= last_ms:
            continue
        if by == "source":
            row = rows.setdefault(record["source"], Row(name=record["source"]))
            _add(row, record, (start_ms, end_ms), (first_ms, last_ms))
            continue
        if not latest or first_ms < latest[-1][0] or last_ms > latest[-1][1]:
            latest = list(bins(first_ms, last_ms, by, zone))
        else:
            latest = latest[-1:]  # as nearly always
        for begin, end in latest:
            row = rows.setdefault(begin, Row(start_ms=begin, end_ms=end))
            _add(row, record, (start_ms, end_ms), (max(begin, first_ms), min(end, last_ms)))
    return _finished(by, [row for _, row in sorted(rows.items()) if row.listened_ms])


def lasted(record: Mapping[str, Any]) -> tuple[int, int]:
    """When a spell was, milliseconds: by the wall clock, or, when that was set meanwhile, from its start by the other.

    It lasts a millisecond at least, so that it lies in one bin at least.
    """
    start_ms, end_ms = rfc3339_to_ms(record["start"]), rfc3339_to_ms(record["end"])
    if record["clock_step_s"]:
        end_ms = start_ms + round(1000 * (record["mono_end_s"] - record["mono_start_s"]))
    return start_ms, max(end_ms, start_ms + 1)


def without_gaps(found: Report, zone: tzinfo | None = None) -> list[Row]:
    """The rows of hours or days, and empty ones for those between them in which nothing was heard."""
    if found.by == "source" or not found.rows:
        return found.rows
    by_start = {row.start_ms: row for row in found.rows}
    start_ms, end_ms = found.rows[0].start_ms, found.rows[-1].end_ms
    assert start_ms is not None
    assert end_ms is not None
    stretches = bins(start_ms, end_ms, found.by, zone)
    return [by_start.get(begin) or Row(start_ms=begin, end_ms=end) for begin, end in stretches]


def _add(row: Row, record: Mapping[str, Any], whole: tuple[int, int], part: tuple[int, int]) -> None:
    """Gives a row the part of a spell that lies in it."""
    heard_ms = share_out(round(1000 * record["heard_s"]), *whole)(*part)
    if record["genre"] is not None and not record["dead_air"]:
        row.genres[record["genre"]] += heard_ms
    else:
        row.others[_other(record)] += heard_ms
    row.others[LOST] += share_out(round(1000 * record["lost_s"]), *whole)(*part)


def _other(record: Mapping[str, Any]) -> str:
    if record["dead_air"]:
        return DEAD_AIR
    return record["reason"] if record["reason"] in (SILENCE, NOT_MUSIC) else REFUSED


def _finished(by: By, rows: list[Row]) -> Report:
    total = Row(name="total")
    for row in rows:
        total.genres.update(row.genres)
        total.others.update(row.others)
    genres = [genre for genre, ms in sorted(total.genres.items(), key=lambda item: (-item[1], item[0])) if ms]
    others = [other for other in NO_GENRE if total.others[other]]
    return Report(by=by, rows=rows, total=total, genres=genres, others=others)

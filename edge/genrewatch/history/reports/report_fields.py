"""A report as exact seconds, JSON or CSV: the same for `genrewatch report` and the web API."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, TextIO

from genrewatch.history.reader import HistoryReader, Selection
from genrewatch.history.record import Record
from genrewatch.history.reports.report import NO_GENRE, By, Report, Row, UnsetTime, build_report, spell_interval
from genrewatch.host.times import EARLIEST_MS, local_time
from genrewatch.host.untrusted_text import csv_cell, printable

DAY_MS = 86_400_000


def read_report(
    reader: HistoryReader, by: By, selection: Selection, change: Callable[[Record], Record] | None = None
) -> Report:
    """Return the report of the selected part of a history; `change` changes each record before it counts."""
    unset = UnsetTime()
    records = _with_known_time(_records(reader, selection), selection, unset)
    records = map(change, records) if change else records
    report = build_report(records, by, since_ms=selection.since_ms, until_ms=selection.until_ms)
    return replace(report, unset=unset)


def _with_known_time(records: Iterator[Record], selection: Selection, unset: UnsetTime) -> Iterator[Record]:
    """Yield the records, and count instead those from before the clock was set, unless just these are selected."""
    selected_unset = selection.until_ms is not None and selection.until_ms <= EARLIEST_MS + DAY_MS
    for record in records:
        if selected_unset or spell_interval(record)[0] >= EARLIEST_MS:
            yield record
        else:
            unset.spells += 1
            unset.ms += round(1000 * (record["heard_s"] + record["lost_s"]))


def _records(reader: HistoryReader, selection: Selection) -> Iterator[Record]:
    """Yield ended and open spells of the range, and a day around it.

    The stored times of a spell in which the clock was set can be outside the range though the spell is in it.
    """
    since_ms, until_ms = selection.since_ms, selection.until_ms
    wider = replace(
        selection,
        since_ms=None if since_ms is None else since_ms - DAY_MS,
        until_ms=None if until_ms is None else until_ms + DAY_MS,
    )
    yield from chain.from_iterable(reader.pages(wider))
    yield from reader.open_spells(wider)


def milliseconds(row: Row, key: str) -> int:
    """Return the time of a genre or of a kind of `NO_GENRE`, milliseconds."""
    return row.others[key] if key in NO_GENRE else row.genres[key]


def report_fields(report: Report) -> dict[str, Any]:
    """Return all rows and their total as JSON fields."""
    rows = [_fields(row, report) for row in report.rows]
    return {
        "rows": rows,
        "total": {key: value for key, value in _fields(report.total, report).items() if key != "name"},
    }


def _fields(row: Row, report: Report) -> dict[str, Any]:
    """Return exact seconds; times are local, with their offset from UTC."""
    others = {f"{other}_s": row.others[other] / 1000 for other in NO_GENRE}
    genres = {genre: row.genres[genre] / 1000 for genre in report.genres}
    return {**_place(row), "listened_s": row.listened_ms / 1000, "genres_s": genres, **others}


def _place(row: Row) -> dict[str, str]:
    if row.start_ms is None or row.end_ms is None:
        return {"name": row.name}
    return {"start": local_time(row.start_ms).isoformat(), "end": local_time(row.end_ms).isoformat()}


def write_report_csv(report: Report, file: TextIO) -> None:
    """Write a header, the rows and their total."""
    out = csv.writer(file, lineterminator="\n")
    place = ["source"] if report.by == "source" else ["start", "end"]
    out.writerow([*place, "listened_s", *(printable(f"{key}_s") for key in (*report.genres, *NO_GENRE))])
    for row in (*report.rows, report.total):
        where = ["total", ""][: len(place)] if row is report.total else list(map(csv_cell, _place(row).values()))
        amounts = [row.listened_ms, *(milliseconds(row, key) for key in (*report.genres, *NO_GENRE))]
        out.writerow([*where, *(f"{ms / 1000:.3f}" for ms in amounts)])

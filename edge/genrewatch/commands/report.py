"""`genrewatch report`: airtime by genre, silence, refusals and lost sound, as a table, CSV, JSON or chart.

The table shows shares and durations for people; CSV and JSON give exact seconds, from the same whole milliseconds.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import get_args

from genrewatch.commands.options import add_history_location
from genrewatch.commands.output import print_lines
from genrewatch.commands.report_files import write_files
from genrewatch.commands.selection import add_selection, selected
from genrewatch.contract.errors import ConfigError, not_installed, os_error_reason
from genrewatch.history.correction_records import corrected, corrected_labels, present_corrections
from genrewatch.history.locate import find_database, open_history
from genrewatch.history.reports.report import By, Report, Row, UnsetTime
from genrewatch.history.reports.report_fields import DAY_MS, milliseconds, read_report, report_fields, write_report_csv
from genrewatch.host.private_files import open_private
from genrewatch.host.times import EARLIEST_MS, duration_text, local_time
from genrewatch.host.untrusted_text import json_text, printable

MAX_NODE = 64
"""Characters of the node id in a title."""
NAMES: dict[str, str] = {"day": "%Y-%m-%d, %a", "week": "%G-W%V", "month": "%Y-%m"}
"""Names of rows, by what a row is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--by", choices=get_args(By), default="day", help="what a row is (default day)")
    add_history_location(parser)
    add_selection(parser)
    parser.add_argument("--corrected", action="store_true", help="count the genre that a spell was corrected to")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print exact seconds as JSON")
    form.add_argument("--csv", action="store_true", help="print exact seconds as CSV")
    form.add_argument("--png", type=Path, metavar="FILE", help="draw stacked bars")
    form.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="write CSV and chart of each complete day, week or month (--by) that has no file there yet, for a timer",
    )


def run(parsed: argparse.Namespace) -> int:
    """Print or draw the airtime; returns 0."""
    selection = selected(parsed)
    path = find_database(parsed.state, parsed.node)
    if parsed.output:
        return write_files(path, parsed.output, parsed.by, selection)
    with open_history(path) as reader:
        node = printable(reader.meta().get("node", ""))[:MAX_NODE]
        labels = corrected_labels(present_corrections(path, reader)) if parsed.corrected else {}
        report = read_report(reader, parsed.by, selection, lambda record: corrected(record, labels))
    if report.unset.spells:
        print(f"genrewatch: {_unset_text(report.unset)}", file=sys.stderr)
    if not report.rows:
        raise ConfigError(str(path), "no spells in this range", "another --since, --until or --source")
    if parsed.png:
        _draw(report, node, parsed.png)
    elif parsed.json:
        print_lines([json_text({"node": node, "by": parsed.by, **report_fields(report)})])
    elif parsed.csv:
        write_report_csv(report, sys.stdout)
    else:
        print_lines(table(report))
    return 0


def _unset_text(unset: UnsetTime) -> str:
    count = f"{unset.spells} spell{'s' if unset.spells > 1 else ''} ({duration_text(unset.ms)})"
    day = f"{local_time(EARLIEST_MS + DAY_MS):%Y-%m-%d}"
    return f"{count} from before the clock was set, not counted; see them with `genrewatch history --until {day}`"


def _draw(report: Report, node: str, path: Path) -> None:
    try:
        from genrewatch.history.reports.chart import draw_chart
    except ModuleNotFoundError as exc:
        raise not_installed(exc, "plot") from None
    image = draw_chart(report, title=f"{node}: airtime by {report.by}")
    try:
        with open(open_private(path), "wb") as file:
            image.save(file, format="PNG", optimize=True)
    except OSError as exc:
        raise ConfigError(str(path), os_error_reason(exc), "a file that can be written") from None
    print(f"{path}: {image.width} x {image.height}")


def table(report: Report) -> Iterator[str]:
    """Yield aligned lines: shares in % of the listening time, and that time as hours, minutes and seconds."""
    keys = [*report.genres, *report.others]
    heads = [key.replace("_", " ") for key in keys]
    widths = [max(len(head), 5) for head in heads]
    names = _names(report)
    left = max([len("% of the time"), *map(len, names)])
    long = max(len("listened"), len(duration_text(report.total.listened_ms)))
    cells = "  ".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))
    yield f"{'% of the time':{left}}  {'listened':>{long}}  {cells}"
    date = ""
    for name, row in zip([*names, "total"], [*report.rows, report.total], strict=True):
        if report.by == "hour" and row is not report.total and date != (day := f"{_local(row):%Y-%m-%d, %a}"):
            yield (date := day)
        cells = "  ".join(f"{_share(row, key):>{width}}" for key, width in zip(keys, widths, strict=True))
        yield f"{name:{left}}  {duration_text(row.listened_ms):>{long}}  {cells}"


def _names(report: Report) -> list[str]:
    """Return the names of the rows; an hour that occurs twice gets its offset from UTC."""
    if report.by == "source":
        return [row.name for row in report.rows]
    if form := NAMES.get(report.by):
        return [f"{_local(row):{form}}" for row in report.rows]
    hours = [_local(row) for row in report.rows]
    times = Counter(f"{hour:%Y-%m-%d %H:%M}" for hour in hours)
    return [f"  {hour:%H:%M %z}" if times[f"{hour:%Y-%m-%d %H:%M}"] > 1 else f"  {hour:%H:%M}" for hour in hours]


def _share(row: Row, key: str) -> str:
    ms = milliseconds(row, key)
    return f"{100 * ms / row.listened_ms:.1f}" if ms else "-"


def _local(row: Row) -> datetime:
    assert row.start_ms is not None
    return local_time(row.start_ms)

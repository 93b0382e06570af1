"""`genrewatch report --output DIR`: a CSV and a chart of each complete day, week or month, each written once."""

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from genrewatch.contract.errors import ConfigError, os_error_reason
from genrewatch.history.locate import open_history
from genrewatch.history.reader import HistoryReader, Selection
from genrewatch.history.reports.calendar_bins import Unit, bin_start
from genrewatch.history.reports.report import By, Report
from genrewatch.history.reports.report_fields import read_report, write_report_csv
from genrewatch.host.paths import replace_file
from genrewatch.host.private_files import FILE_MODE
from genrewatch.host.times import local_time, now

PERIODS: dict[str, tuple[Unit, By, int, str]] = {
    "day": ("day", "hour", 31, "%Y-%m-%d"),
    "week": ("week", "day", 8, "%G-W%V"),
    "month": ("month", "day", 12, "%Y-%m"),
}
"""Per `--by`: the unit of a file, what a row is, how many files are caught up, and the form of their names."""


def write_files(database: Path, directory: Path, by: str, selection: Selection) -> int:
    """Write the files that are missing and print their paths; returns 0."""
    if by not in PERIODS:
        raise ConfigError("--output", f"found with --by {by}", "--by " + ", ".join(PERIODS))
    if selection.since_ms is not None or selection.until_ms is not None:
        raise ConfigError("--output", "found with --since or --until", "neither: every complete period gets a file")
    unit, rows, count, form = PERIODS[by]
    with open_history(database) as reader:
        node = reader.meta()["node"]
        for start_ms, end_ms in _complete(unit, count):
            path = directory / f"{node}-{local_time(start_ms):{form}}"
            part = replace(selection, since_ms=start_ms, until_ms=end_ms)
            _write_period(reader, path, rows, part)
    return 0


def _complete(unit: Unit, count: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of the last `count` periods that are over, the oldest first."""
    ends = [bin_start(now().utc_ms, unit)]
    for _ in range(count):
        ends.append(bin_start(ends[-1] - 1, unit))
    ends.reverse()
    yield from pairwise(ends)


def _write_period(reader: HistoryReader, path: Path, by: By, part: Selection) -> None:
    """Write the missing ones of two files, `path` with .csv and .png, unless nothing was received."""
    csv, png = path.with_name(path.name + ".csv"), path.with_name(path.name + ".png")
    if csv.exists() and (png.exists() or not _can_draw()):
        return
    report = read_report(reader, by, part)
    if not report.rows:
        return
    if not csv.exists():
        text = io.StringIO()
        write_report_csv(report, text)
        _save(csv, text.getvalue().encode())
    if not png.exists() and _can_draw():
        _save(png, _drawn(report, path.name))


def _can_draw() -> bool:
    try:
        import PIL  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def _drawn(report: Report, title: str) -> bytes:
    from genrewatch.history.reports.chart import draw_chart

    data = io.BytesIO()
    draw_chart(report, title=f"{title}: airtime by {report.by}").save(data, format="PNG", optimize=True)
    return data.getvalue()


def _save(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data, mode=FILE_MODE)
    except OSError as exc:
        raise ConfigError(str(path), os_error_reason(exc), "a directory that can be written") from None
    print(path, flush=True)

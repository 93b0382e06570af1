"""`genrewatch report`: how the time listened divides among genres, silence and the rest; a table, or a picture of it.

The table gives shares and durations to read; CSV, JSON and the picture come from the same whole milliseconds.
"""

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from genrewatch.commands.history import selected
from genrewatch.contract.errors import ConfigError, not_installed, os_error_reason
from genrewatch.history.reading import Log, Record, Selection, find_history, opened
from genrewatch.history.reports.report import NO_GENRE, Report, Row, report
from genrewatch.host.times import duration_text, local_time

DAY_MS = 86_400_000


def run_report(parsed: argparse.Namespace) -> int:
    """Prints or draws the airtime; returns 0."""
    selection = selected(parsed)
    path = find_history(parsed.state, parsed.node)
    with opened(path) as log:
        node = log.meta().get("node", "")
        found = report(_records(log, selection), parsed.by, since_ms=selection.since_ms, until_ms=selection.until_ms)
    if not found.rows:
        raise ConfigError(str(path), "nothing was heard in this range", "another --since, --until or --source")
    if parsed.png:
        _draw(found, node, parsed.png)
    elif parsed.json:
        print(json.dumps({"node": node, "by": parsed.by, **_all_fields(found)}))
    elif parsed.csv:
        _print_csv(found)
    else:
        print("\n".join(table(found)))
    return 0


def _records(log: Log, selection: Selection) -> Iterator[Record]:
    """The spells, open ones too, and those around the range: where the clock was set, they are not where they say."""
    since_ms, until_ms = selection.since_ms, selection.until_ms
    wide = replace(
        selection,
        since_ms=None if since_ms is None else since_ms - DAY_MS,
        until_ms=None if until_ms is None else until_ms + DAY_MS,
    )
    yield from chain.from_iterable(log.pages(wide))
    yield from log.open_spells(wide)


def _draw(found: Report, node: str, path: Path) -> None:
    try:
        from genrewatch.history.reports.picture import draw
    except ModuleNotFoundError as exc:
        raise not_installed(exc, "plot") from None
    picture = draw(found, title=f"{node}: airtime by {found.by}")
    try:
        picture.save(path, format="PNG", optimize=True)
    except OSError as exc:
        raise ConfigError(str(path), os_error_reason(exc), "a file that can be written") from None
    print(f"{path}: {picture.width} x {picture.height}")


def table(found: Report) -> Iterator[str]:
    """Aligned lines: shares in % of the time listened, which is in hours, minutes and seconds."""
    keys = [*found.genres, *found.others]
    heads = [key.replace("_", " ") for key in keys]
    widths = [max(len(head), 5) for head in heads]
    names = _names(found)
    left = max([len("% of the time"), *map(len, names)])
    long = max(len("listened"), len(duration_text(found.total.listened_ms)))
    cells = "  ".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))
    yield f"{'% of the time':{left}}  {'listened':>{long}}  {cells}"
    date = ""
    for name, row in zip([*names, "total"], [*found.rows, found.total], strict=True):
        if found.by == "hour" and row is not found.total and date != (day := f"{_local(row):%Y-%m-%d, %a}"):
            yield (date := day)
        cells = "  ".join(f"{_share(row, key):>{width}}" for key, width in zip(keys, widths, strict=True))
        yield f"{name:{left}}  {duration_text(row.listened_ms):>{long}}  {cells}"


def _names(found: Report) -> list[str]:
    """What a row is called; an hour that comes twice tells them apart by its offset from UTC."""
    if found.by == "source":
        return [row.name for row in found.rows]
    if found.by == "day":
        return [f"{_local(row):%Y-%m-%d, %a}" for row in found.rows]
    hours = [_local(row) for row in found.rows]
    times = Counter(f"{hour:%Y-%m-%d %H:%M}" for hour in hours)
    return [f"  {hour:%H:%M %z}" if times[f"{hour:%Y-%m-%d %H:%M}"] > 1 else f"  {hour:%H:%M}" for hour in hours]


def _share(row: Row, key: str) -> str:
    ms = _ms(row, key)
    return f"{100 * ms / row.listened_ms:.1f}" if ms else "-"


def _ms(row: Row, key: str) -> int:
    return row.others[key] if key in NO_GENRE else row.genres[key]


def _local(row: Row) -> datetime:
    assert row.start_ms is not None
    return local_time(row.start_ms)


def _all_fields(found: Report) -> dict[str, Any]:
    rows = [_fields(row, found) for row in found.rows]
    return {"rows": rows, "total": {key: value for key, value in _fields(found.total, found).items() if key != "name"}}


def _fields(row: Row, found: Report) -> dict[str, Any]:
    """Exact seconds; times are local, with their offset from UTC."""
    others = {f"{other}_s": row.others[other] / 1000 for other in NO_GENRE}
    genres = {genre: row.genres[genre] / 1000 for genre in found.genres}
    return {**_place(row), "listened_s": row.listened_ms / 1000, "genres_s": genres, **others}


def _place(row: Row) -> dict[str, str]:
    if row.start_ms is None or row.end_ms is None:
        return {"name": row.name}
    return {"start": local_time(row.start_ms).isoformat(), "end": local_time(row.end_ms).isoformat()}


def _print_csv(found: Report) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    place = ["source"] if found.by == "source" else ["start", "end"]
    out.writerow([*place, "listened_s", *(f"{key}_s" for key in (*found.genres, *NO_GENRE))])
    for row in (*found.rows, found.total):
        where = ["total", ""][: len(place)] if row is found.total else list(_place(row).values())
        amounts = [row.listened_ms, *(_ms(row, key) for key in (*found.genres, *NO_GENRE))]
        out.writerow([*where, *(f"{ms / 1000:.3f}" for ms in amounts)])

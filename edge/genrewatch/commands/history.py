"""`genrewatch history`: what was heard, spell by spell, for people, programs and spreadsheets.

It reads the database beside a running daemon; with `--follow` it goes on with each spell that ends.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from genrewatch.commands.time_argument import parse_time
from genrewatch.contract.errors import ConfigError
from genrewatch.history.follow import follow
from genrewatch.history.reading import Record, Selection, find_history, opened
from genrewatch.host.times import duration_text, local_text, local_time, now, rfc3339_to_ms

LATEST = 10
"""Spells that `--follow` begins with, unless it is told since when."""
NOW_MS = 60_000
"""A spell that was saved this long ago or less lasts."""
COLUMNS = [
    *("seq", "node", "source", "name", "genre", "reason", "dead_air", "confidence", "share", "votes", "segments"),
    *("start", "end", "start_s", "end_s", "heard_s", "lost_s", "continues", "interrupted"),
    *("run", "mono_start_s", "mono_end_s", "clock_step_s", "model", "version", "v", "open", "prev", "hash"),
]

Show = Callable[[list[Record]], None]


def history(parsed: argparse.Namespace) -> int:
    """Prints the spells that were asked for; returns 0."""
    selection = selected(parsed)
    path = find_history(parsed.state, parsed.node)
    show = _show_csv() if parsed.csv else _show_json if parsed.json else _show_lines()
    if parsed.follow:
        return _follow(path, selection, show)
    shown = 0
    with opened(path) as log:
        for page in log.pages(selection):
            show(page)
            shown += len(page)
        lasting = log.open_spells(selection)
        show(lasting)
        if not shown and not lasting:
            of = f"; there are some of {', '.join(log.sources())}" if parsed.source and log.sources() else ""
            print(f"genrewatch: no such spells in {path}{of}", file=sys.stderr)
    return 0


def selected(parsed: argparse.Namespace) -> Selection:
    """The range and sources of the command line; ConfigError if the range ends before it begins."""
    now_ms = now().utc_ms
    since_ms = None if parsed.since is None else parse_time(parsed.since, "--since", now_ms)
    until_ms = None if parsed.until is None else parse_time(parsed.until, "--until", now_ms)
    if since_ms is not None and until_ms is not None and until_ms <= since_ms:
        raise ConfigError("--until", f"found {local_text(until_ms)}", f"a time after {local_text(since_ms)}")
    return Selection(since_ms=since_ms, until_ms=until_ms, sources=tuple(parsed.source or ()))


def _follow(path: Path, selection: Selection, show: Show) -> int:
    """Shows each spell as it ends, until it is interrupted."""

    def trouble(why: str) -> None:
        print(f"genrewatch: {path} cannot be read at present ({why}): waiting for it", file=sys.stderr, flush=True)

    with opened(path) as log:
        after = 0 if selection.since_ms is not None else log.seq_before_latest(LATEST, selection)
    try:
        for page in follow(path, selection, after, trouble):
            show(page)
    except KeyboardInterrupt:
        pass  # this is how it ends
    return 0


def _show_json(records: list[Record]) -> None:
    _print(json.dumps(record) for record in records)


def _show_csv() -> Show:
    out = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore", lineterminator="\n")
    out.writeheader()

    def show(records: list[Record]) -> None:
        for record in records:
            out.writerow({key: _cell(record.get(key)) for key in COLUMNS})
        sys.stdout.flush()

    return show


def _cell(value: object) -> object:
    """As in JSON, but for absence, which is an empty cell, and text, which needs no quotes."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _show_lines() -> Show:
    width = 8

    def show(records: list[Record]) -> None:
        nonlocal width
        width = max([width, *(len(record["source"]) for record in records)])
        _print(describe(record, width) for record in records)

    return show


def _print(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def describe(record: Record, width: int) -> str:
    """A spell in aligned words: `2026-11-24 18:00:00  kitchen   rock   0:12:34   78 %  confidence 0.64  rock 301`."""
    start = local_text(rfc3339_to_ms(record["start"]))
    name = record["genre"] or f"({record['reason'].replace('_', ' ')})"
    length = duration_text(round(1000 * (record["heard_s"] + record["lost_s"])))
    share = "" if record["share"] is None else f"{100 * record['share']:.0f} %"
    confidence = "" if record["confidence"] is None else f"confidence {record['confidence']:.2f}"
    votes = " ".join(f"{label} {count}" for label, count in record["votes"].items())
    notes = ", ".join(_marks(record))
    columns = f"{start}  {record['source']:{width}}  {name:14}  {length:>9}  {share:>5}  {confidence:15}"
    return "  ".join(part for part in (columns, votes, f"[{notes}]" if notes else "") if part).rstrip()


def _marks(record: Record) -> list[str]:
    marks = []
    if record["lost_s"] and record["reason"] != "stalled":
        marks.append(f"lost {record['lost_s']:.1f} s")
    marks += [word for word in ("dead_air", "continues", "interrupted") if record[word]]
    if record["clock_step_s"]:
        marks.append(f"clock set by {record['clock_step_s']:+.6g} s")
    if record.get("open"):
        saved_ms = rfc3339_to_ms(record["end"])
        late = now().utc_ms - saved_ms > NOW_MS
        marks.append(f"open when saved at {local_time(saved_ms):%H:%M:%S}" if late else "now")
    return [mark.replace("dead_air", "DEAD AIR") for mark in marks]

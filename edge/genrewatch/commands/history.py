"""`genrewatch history`: prints spells as lines, JSON or CSV.

It reads the database beside a running daemon; with `--follow` it goes on with each spell that ends.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genrewatch.commands import verify
from genrewatch.commands.options import add_history_location
from genrewatch.commands.output import print_lines
from genrewatch.commands.selection import add_selection, selected
from genrewatch.history.correction_records import corrected, corrected_labels, present_corrections, with_label
from genrewatch.history.follow import follow
from genrewatch.history.locate import find_database, open_history
from genrewatch.history.reader import Selection
from genrewatch.history.record import Record
from genrewatch.history.spell_csv import SpellCsv
from genrewatch.host.times import EARLIEST_MS, duration_text, local_text, local_time, now, rfc3339_to_ms
from genrewatch.host.untrusted_text import json_text, printable

LATEST = 10
"""Spells that `--follow` prints first, without `--since`."""
OPEN_MS = 60_000
"""An open spell saved this long ago or less is shown as going on now."""
MAX_WIDTH = 40
"""Longest source id for which the columns after it are aligned."""

Printer = Callable[[list[Record]], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_history_location(parser)
    add_selection(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the records as JSON lines")
    form.add_argument("--csv", action="store_true", help="print the records as CSV")
    parser.add_argument("--corrected", action="store_true", help="show the genre that a spell was corrected to")
    parser.add_argument("--follow", action="store_true", help="keep printing each spell as it ends")
    check = parser.add_subparsers(metavar="verify").add_parser(
        "verify", help="check the hash chain: is any record changed or missing?"
    )
    check.set_defaults(run=verify.run)
    verify.add_arguments(check)


def run(parsed: argparse.Namespace) -> int:
    """Print the selected spells; returns 0."""
    selection = selected(parsed)
    path = find_database(parsed.state, parsed.node)
    printer = _csv_printer(parsed.corrected) if parsed.csv else _print_json if parsed.json else _line_printer()
    if parsed.corrected:
        printer = _corrected(printer, path, with_label if parsed.csv or parsed.json else corrected)
    if parsed.follow:
        return _follow(path, selection, printer, corrections=parsed.json)
    printed = 0
    with open_history(path) as reader:
        for page in reader.pages(selection, corrections=parsed.json):
            printer(page)
            printed += len(page)
        open_spells = reader.open_spells(selection)
        printer(open_spells)
        if not printed and not open_spells:
            sources = reader.sources() if parsed.source else []
            hint = f"; it has spells of {', '.join(map(printable, sources))}" if sources else ""
            print(f"genrewatch: no such spells in {path}{hint}", file=sys.stderr)
    return 0


def _follow(path: Path, selection: Selection, printer: Printer, *, corrections: bool) -> int:
    """Print each spell as it ends, until Ctrl-C."""

    def on_problem(reason: str) -> None:
        print(f"genrewatch: {path} cannot be read ({printable(reason)}): waiting for it", file=sys.stderr, flush=True)

    with open_history(path) as reader:
        after = 0 if selection.since_ms is not None else reader.seq_before_latest(LATEST, selection)
    try:
        for page in follow(path, selection, after, on_problem, corrections=corrections):
            printer(page)
    except KeyboardInterrupt:
        pass  # the usual end of --follow
    return 0


def _print_json(records: list[Record]) -> None:
    print_lines(json_text(record) for record in records)


def _corrected(printer: Printer, path: Path, change: Callable[[Record, dict[Any, str]], Record]) -> Printer:
    """Return a printer of spells that shows what they were corrected to."""
    with open_history(path) as reader:
        labels = corrected_labels(present_corrections(path, reader))
    return lambda records: printer([change(record, labels) for record in records])


def _csv_printer(with_corrected: bool) -> Printer:
    out = SpellCsv(sys.stdout, ["corrected"] if with_corrected else [])

    def print_rows(records: list[Record]) -> None:
        out.write(records)
        sys.stdout.flush()

    return print_rows


def _line_printer() -> Printer:
    width = 8

    def print_spells(records: list[Record]) -> None:
        nonlocal width
        width = max([width, *(min(MAX_WIDTH, len(record["source"])) for record in records)])
        print_lines(describe(record, width) for record in records)

    return print_spells


def describe(record: Record, width: int) -> str:
    """Format a spell: `2026-11-24 18:00:00  kitchen   rock   0:12:34   78 %  confidence 0.64  rock 301`."""
    start = local_text(rfc3339_to_ms(record["start"]))
    name = record["genre"] or f"({record['reason'].replace('_', ' ')})"
    length = duration_text(round(1000 * (record["heard_s"] + record["lost_s"])))
    share = "" if record["share"] is None else f"{100 * record['share']:.0f} %"
    confidence = "" if record["confidence"] is None else f"confidence {record['confidence']:.2f}"
    votes = " ".join(f"{label} {count}" for label, count in record["votes"].items())
    notes = ", ".join(_notes(record))
    columns = f"{start}  {record['source']:{width}}  {name:14}  {length:>9}  {share:>5}  {confidence:15}"
    return "  ".join(part for part in (columns, votes, f"[{notes}]" if notes else "") if part).rstrip()


def _notes(record: Record) -> list[str]:
    notes = []
    if record["lost_s"] and record["reason"] != "stalled":
        notes.append(f"lost {record['lost_s']:.1f} s")
    notes += ["corrected"] if record.get("corrected") else []
    notes += [flag for flag in ("dead_air", "continues", "interrupted") if record[flag]]
    if record["clock_step_s"]:
        notes.append(f"clock set by {record['clock_step_s']:+.6g} s")
    if rfc3339_to_ms(record["end"]) < EARLIEST_MS:
        notes.append("the clock was not set")
    if record.get("open"):
        saved_ms = rfc3339_to_ms(record["end"])
        old = now().utc_ms - saved_ms > OPEN_MS
        notes.append(f"open when saved at {local_time(saved_ms):%H:%M:%S}" if old else "now")
    return [note.replace("dead_air", "DEAD AIR") for note in notes]

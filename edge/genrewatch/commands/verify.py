"""`genrewatch history verify`: checks the hash chain of a history and finds the first record at fault.

It reads a node's database, or records as `genrewatch history --json` prints and MQTT delivers them.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from genrewatch.commands.options import add_history_location
from genrewatch.commands.output import print_lines
from genrewatch.contract.errors import ConfigError, os_error_reason
from genrewatch.history.database import Damaged
from genrewatch.history.locate import find_database, user_errors
from genrewatch.history.reader import HistoryReader
from genrewatch.history.record import Record
from genrewatch.history.verify import Verification, verify_history, verify_records
from genrewatch.host.untrusted_text import json_text

MAX_LINE = 1_000_000
EXPECTED = "JSON lines as printed by `genrewatch history --json`"


@dataclass(kw_only=True)
class _Lines:
    """The content of a file of records."""

    records: list[Record] = field(default_factory=list)
    others: int = 0
    """Number of lines that are not records of ended spells."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    # Without SUPPRESS the defaults would replace what was given before the word `verify`.
    add_history_location(parser, default=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.add_argument("--file", metavar="PATH", help="check JSON lines (history --json, MQTT); - = standard input")


def run(parsed: argparse.Namespace) -> int:
    """Print the findings for each node; returns 1 if a history is not intact."""
    if parsed.file is not None:
        if parsed.node is not None or parsed.state is not None:
            raise ConfigError("--file", "found with --node or --state", "only one of them")
        lines = _read_file(parsed.file)
        verifications, others = verify_records(lines.records), lines.others
    else:
        verifications, others = [_verify_database(find_database(parsed.state, parsed.node))], 0
    for verification in verifications:
        print_lines([json_text(_fields(verification))] if parsed.json else _text(verification))
    if others:
        print(f"genrewatch: skipped {others} lines that are not records of ended spells", file=sys.stderr)
    return 1 if any(verification.fault for verification in verifications) else 0


def _verify_database(path: Path) -> Verification:
    with user_errors(path):
        try:
            reader = HistoryReader(path)
        except Damaged as exc:
            return Verification(node=path.stem.removeprefix("history-"), fault=f"the file is damaged: {exc}")
        try:
            return verify_history(reader)
        finally:
            reader.close()


def _read_file(path: str) -> _Lines:
    try:
        if path == "-":
            lines = _parse_lines(sys.stdin)
        else:
            with open(path, encoding="utf-8") as file:
                lines = _parse_lines(file)
    except OSError as exc:
        raise ConfigError(path, os_error_reason(exc)) from None
    except UnicodeDecodeError:
        raise ConfigError(path, "is not UTF-8 text", EXPECTED) from None
    if not lines.records:
        raise ConfigError(path, "no records in it", EXPECTED)
    return lines


def _parse_lines(file: TextIO) -> _Lines:
    """Parse JSON lines; also `mosquitto_sub -v`: topic before payload, other topics between."""
    found = _Lines()
    for line in _bounded_lines(file):
        brace = line.find("{")
        try:
            record = json.loads(line[brace:]) if brace >= 0 else None
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict) and _is_ended(record):
            found.records.append(record)
        else:
            found.others += bool(line.strip())
    return found


def _bounded_lines(file: TextIO) -> Iterator[str]:
    """Yield lines, of a longer one than a record can be only the first `MAX_LINE` characters."""
    continued = False
    while line := file.readline(MAX_LINE):
        if not continued:
            yield line
        continued = not line.endswith("\n")


def _is_ended(record: Record) -> bool:
    return type(record.get("seq")) is int and all(isinstance(record.get(key), str) for key in ("node", "prev", "hash"))


def _text(found: Verification) -> list[str]:
    extent = f"{found.records} records"
    if found.first and found.last:
        first, last = found.first.record, found.last.record
        extent += f", {found.first.seq} to {found.last.seq}, {first.get('start')} to {last.get('end')}"
    lines = [f"{found.node}: {extent}"]
    for first_seq, last_seq in found.gaps:
        numbers = f"{first_seq} is" if first_seq == last_seq else f"{first_seq} to {last_seq} are"
        lines.append(f"  {numbers} missing")
    lines += [f"  a new chain starts at {seq}, as after a damaged database" for seq in found.restarts]
    if found.fault:
        where = f"record {found.fault_seq}: " if found.fault_seq is not None else ""
        lines.append(f"  NOT INTACT: {where}{found.fault}")
    else:
        lines.append(f"  intact{', apart from the missing records' if found.gaps else ''}")
        if found.last:
            lines.append(f"  head {found.last.hash}")
    return lines


def _fields(found: Verification) -> dict[str, Any]:
    first, last = found.first, found.last
    return {
        "node": found.node,
        "whole": found.fault is None,
        "records": found.records,
        "first_seq": first.seq if first else None,
        "last_seq": last.seq if last else None,
        "start": first.record.get("start") if first else None,
        "end": last.record.get("end") if last else None,
        "head": last.hash if last else None,
        "gaps": [list(gap) for gap in found.gaps],
        "begun_anew": found.restarts,
        "wrong_seq": found.fault_seq,
        "wrong": found.fault,
    }

"""`genrewatch history verify`: says whether a log is whole, or which record is the first that is not.

It reads a node's database, or records as `genrewatch history --json` prints and MQTT delivers them.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genrewatch.contract.errors import ConfigError, os_error_reason
from genrewatch.history.database import Damaged
from genrewatch.history.reading import Log, Record, find_history, said_to_user
from genrewatch.history.verify import Verification, verify_log, verify_records


@dataclass(kw_only=True)
class _Lines:
    """What a file of records holds."""

    records: list[Record] = field(default_factory=list)
    others: int = 0
    """Lines that are no finished records."""


def verify(parsed: argparse.Namespace) -> int:
    """Prints what was found of each node; returns 1 when a log is not whole."""
    if parsed.file is not None:
        if parsed.node is not None or parsed.state is not None:
            raise ConfigError("--file", "found with --node or --state", "one or the other")
        lines = _read(parsed.file)
        found, others = verify_records(lines.records), lines.others
    else:
        found, others = [_verify_database(find_history(parsed.state, parsed.node))], 0
    for verification in found:
        print(json.dumps(_fields(verification)) if parsed.json else _words(verification))
    if others:
        print(f"genrewatch: {others} lines are no finished records of a history: not looked at", file=sys.stderr)
    return 1 if any(verification.wrong for verification in found) else 0


def _verify_database(path: Path) -> Verification:
    with said_to_user(path):
        try:
            log = Log(path)
        except Damaged as exc:
            return Verification(node=path.stem.removeprefix("history-"), wrong=f"the file is damaged: {exc}")
        try:
            return verify_log(log)
        finally:
            log.close()


def _read(path: str) -> _Lines:
    try:
        if path == "-":
            lines = _sorted_out(sys.stdin)
        else:
            with open(path, encoding="utf-8") as file:
                lines = _sorted_out(file)
    except OSError as exc:
        raise ConfigError(path, os_error_reason(exc)) from None
    except UnicodeDecodeError:
        raise ConfigError(path, "is not UTF-8 text", "JSON lines, as `genrewatch history --json` prints them") from None
    if not lines.records:
        raise ConfigError(path, "no records in it", "JSON lines, as `genrewatch history --json` prints them")
    return lines


def _sorted_out(lines: Iterable[str]) -> _Lines:
    """`mosquitto_sub -v` puts the topic before the payload; other topics' payloads may stand between."""
    found = _Lines()
    for line in lines:
        brace = line.find("{")
        try:
            record = json.loads(line[brace:]) if brace >= 0 else None
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict) and _is_finished(record):
            found.records.append(record)
        else:
            found.others += bool(line.strip())
    return found


def _is_finished(record: Record) -> bool:
    return type(record.get("seq")) is int and all(isinstance(record.get(key), str) for key in ("node", "prev", "hash"))


def _words(found: Verification) -> str:
    extent = f"{found.records} records"
    if found.first and found.last:
        first, last = found.first.record, found.last.record
        extent += f", {found.first.seq} to {found.last.seq}, {first.get('start')} to {last.get('end')}"
    lines = [f"{found.node}: {extent}"]
    for first_seq, last_seq in found.gaps:
        numbers = f"{first_seq} is" if first_seq == last_seq else f"{first_seq} to {last_seq} are"
        lines.append(f"  {numbers} not here")
    lines += [f"  a new log begins with {seq}, as after a damaged one" for seq in found.begun_anew]
    if found.wrong:
        which = f"record {found.wrong_seq}: " if found.wrong_seq is not None else ""
        lines.append(f"  NOT WHOLE: {which}{found.wrong}")
    else:
        lines.append(f"  whole{', but for what is not here' if found.gaps else ''}")
        if found.last:
            lines.append(f"  head {found.last.hash}")
    return "\n".join(lines)


def _fields(found: Verification) -> dict[str, Any]:
    first, last = found.first, found.last
    return {
        "node": found.node,
        "whole": found.wrong is None,
        "records": found.records,
        "first_seq": first.seq if first else None,
        "last_seq": last.seq if last else None,
        "start": first.record.get("start") if first else None,
        "end": last.record.get("end") if last else None,
        "head": last.hash if last else None,
        "gaps": [list(gap) for gap in found.gaps],
        "begun_anew": found.begun_anew,
        "wrong_seq": found.wrong_seq,
        "wrong": found.wrong,
    }

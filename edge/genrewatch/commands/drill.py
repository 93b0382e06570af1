"""`genrewatch drill`: play each fault of a source against the real daemon and print the results."""

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from genrewatch.commands import drill_history
from genrewatch.commands.drill_history import run_history_drills, wants_history
from genrewatch.commands.drill_table import line, markdown
from genrewatch.contract.errors import ConfigError
from genrewatch_drill.campaigns.soak import Reading, soak
from genrewatch_drill.faults.runner import ROWS, drill

__all__ = ["markdown", "run", "run_soak"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--short", action="store_true", help="short stall times: about two minutes")
    parser.add_argument("--only", action="append", metavar="ROW", help="one row of the table; repeat for several")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table to a file as well")
    parser.add_argument(
        "--soak", type=float, metavar="HOURS", help="hours of sound at full speed, with faults, instead"
    )
    drill_history.add_arguments(parser)


def run(parsed: argparse.Namespace) -> int:
    """Play the rows and print them; return 1 when one failed."""
    if parsed.soak is not None:
        return run_soak(parsed.soak, as_json=parsed.json)
    if wants_history(parsed):
        return run_history_drills(parsed)
    known = [row.name for row in ROWS]
    for name in parsed.only or ():
        if name not in known:
            raise ConfigError("--only", f"no row {name!r}", ", ".join(known))
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="genrewatch-drill-") as directory:
        on_result = (lambda result: None) if parsed.json else (lambda result: print(line(result), flush=True))
        results = drill(Path(directory), short=parsed.short, only=parsed.only or (), on_result=on_result)
    count = {verdict: sum(result.verdict == verdict for result in results) for verdict in ("pass", "fail", "skipped")}
    if parsed.json:
        for result in results:
            fields = asdict(result)
            print(json.dumps({**fields.pop("outcome"), **fields}))
    else:
        counts = ", ".join(f"{number} {verdict}" for verdict, number in count.items())
        print(f"{counts} in {time.monotonic() - start:.0f} s")
    if parsed.markdown:
        parsed.markdown.write_text(markdown(results))
    return 1 if count["fail"] else 0


def run_soak(hours: float, *, as_json: bool) -> int:
    """Print a line for each twenty-fourth of the soak; return 1 when resources grew or processes were left over."""
    if not 0 < hours <= 24 * 366:
        raise ConfigError("--soak", f"found {hours:g}", "hours of sound, above 0")
    if not as_json:
        print("hours of sound  seconds  faults    RSS MB  threads  descriptors  children  zombies")
    on_reading = _print_json if as_json else _print_reading
    with tempfile.TemporaryDirectory(prefix="genrewatch-soak-") as directory:
        result = soak(Path(directory), hours, on_reading=on_reading)
    if as_json:
        print(json.dumps({"wrong": result.problems, "farewell_s": round(result.exit_s, 2)}))
    else:
        problems = "; ".join(result.problems)
        print(f"fail: {problems}" if problems else "pass: nothing grew, nothing was left over")
    return 1 if result.problems else 0


def _print_reading(reading: Reading) -> None:
    now = reading.footprint
    print(
        f"{reading.sound_h:14.2f}  {reading.wall_s:7.0f}  {reading.faults:6}  {now.rss_mb:8.1f}  {now.threads:7}"
        f"  {now.descriptors:11}  {now.children:8}  {now.zombies:7}",
        flush=True,
    )


def _print_json(reading: Reading) -> None:
    fields = asdict(reading)
    print(json.dumps({"heard_h": fields.pop("sound_h"), **fields}), flush=True)

"""`genrewatch drill --kills | --fleet | --outages | --disk`: check that no record of the history is ever lost."""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from genrewatch.commands.drill_table import line, markdown
from genrewatch.contract.errors import require
from genrewatch_drill.campaigns.disk import disk_drill
from genrewatch_drill.campaigns.fleet import fleet_drill
from genrewatch_drill.campaigns.kills import kill_drill
from genrewatch_drill.campaigns.outages import outage_drill
from genrewatch_drill.campaigns.report import Report
from genrewatch_drill.rig.results import Result

OnProgress = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the campaigns."""
    group = parser.add_argument_group(
        "campaigns: is any record lost? (played instead of the rows, one after the other)"
    )
    group.add_argument("--kills", type=int, metavar="N", help="kill the daemon N times, and the broker beside it")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the moments of the kills (default 0)")
    group.add_argument("--fleet", type=int, metavar="N", help="N nodes on one broker, killed in the middle")
    group.add_argument("--minutes", type=float, default=2.0, metavar="M", help="duration, with --fleet (default 2)")
    group.add_argument("--outages", type=int, metavar="N", help="kill the broker N times for a while")
    group.add_argument("--outage-s", type=float, default=60.0, metavar="S", help="duration of an outage (default 60)")
    group.add_argument(
        "--audio",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="audio files to play, with --outages (default: made tones)",
    )
    group.add_argument(
        "--disk", action="store_true", help="full disk, read-only disk, damaged database, wall clock that is set"
    )


def wants_history(parsed: argparse.Namespace) -> bool:
    """Return whether one of these campaigns is requested."""
    return bool(parsed.disk) or any(number is not None for number in (parsed.kills, parsed.fleet, parsed.outages))


def run_history_drills(parsed: argparse.Namespace) -> int:
    """Play the requested campaigns one after the other and print them; return 1 when one failed."""
    _check(parsed)
    on_progress: OnProgress = (lambda text: None) if parsed.json else (lambda text: print(text, flush=True))
    pages: list[str] = []
    failed = False
    for play in _chosen(parsed, on_progress):
        with tempfile.TemporaryDirectory(prefix="genrewatch-drill-") as directory:
            report = play(Path(directory))
        print(report.as_json() if parsed.json else report.text(), flush=True)
        pages.append(report.markdown())
        failed |= report.verdict == "fail"
    if parsed.disk:
        results = _disk(parsed, on_progress)
        pages.append(markdown(results))
        failed |= any(result.verdict == "fail" for result in results)
    if parsed.markdown:
        parsed.markdown.write_text("\n".join(pages))
    return int(failed)


def _chosen(parsed: argparse.Namespace, on_progress: OnProgress) -> list[Callable[[Path], Report]]:
    chosen: list[Callable[[Path], Report]] = []
    if parsed.kills is not None:
        chosen.append(lambda path: kill_drill(path, parsed.kills, seed=parsed.seed, on_progress=on_progress))
    if parsed.fleet is not None:
        chosen.append(lambda path: fleet_drill(path, parsed.fleet, minutes=parsed.minutes, on_progress=on_progress))
    if parsed.outages is not None:
        audio = parsed.audio or ()
        chosen.append(
            lambda path: outage_drill(
                path, parsed.outages, outage_s=parsed.outage_s, audio=audio, on_progress=on_progress
            )
        )
    return chosen


def _disk(parsed: argparse.Namespace, on_progress: OnProgress) -> Sequence[Result]:
    with tempfile.TemporaryDirectory(prefix="genrewatch-drill-") as directory:
        results = disk_drill(Path(directory), on_result=lambda result: on_progress(line(result)))
    for result in results if parsed.json else ():
        fields = asdict(result)
        print(json.dumps({**fields.pop("outcome"), **fields}))
    return results


def _check(parsed: argparse.Namespace) -> None:
    for option, number, most in (
        ("--kills", parsed.kills, 100_000),
        ("--fleet", parsed.fleet, 2000),
        ("--outages", parsed.outages, 1000),
    ):
        require(number is None or 1 <= number <= most, option, number, f"1 to {most}")
    require(0.2 <= parsed.minutes <= 60 * 24, "--minutes", parsed.minutes, "0.2 to 1440")
    require(0.5 <= parsed.outage_s <= 24 * 3600, "--outage-s", parsed.outage_s, "0.5 to 86400")

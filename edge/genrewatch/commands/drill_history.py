"""`genrewatch drill --kills | --fleet | --outages | --disk`: is anything of what was decided ever lost?"""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from genrewatch.commands.drill_table import line, markdown
from genrewatch.contract.errors import require
from genrewatch_drill.campaigns.finding import Finding
from genrewatch_drill.campaigns.fleet import fleet_drill
from genrewatch_drill.campaigns.kills import kill_drill
from genrewatch_drill.campaigns.outages import outage_drill
from genrewatch_drill.faults.disk import disk_drill
from genrewatch_drill.faults.runner import Result

Tell = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of these drills."""
    group = parser.add_argument_group("is anything lost? (run instead; several one after the other)")
    group.add_argument("--kills", type=int, metavar="N", help="kill the daemon N times, and the broker beside it")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the moments of the kills (default 0)")
    group.add_argument("--fleet", type=int, metavar="N", help="N nodes on one broker, killed in the middle")
    group.add_argument("--minutes", type=float, default=2.0, metavar="M", help="duration, with --fleet (default 2)")
    group.add_argument("--outages", type=int, metavar="N", help="kill the broker N times for a while")
    group.add_argument("--outage-s", type=float, default=60.0, metavar="S", help="duration of an outage (default 60)")
    group.add_argument("--audio", type=Path, nargs="+", metavar="FILE", help="clips to play in it (default made ones)")
    group.add_argument("--disk", action="store_true", help="full and read-only disk, damaged database, a set clock")


def wants_history(parsed: argparse.Namespace) -> bool:
    """Whether one of these drills is asked for."""
    return bool(parsed.disk) or any(number is not None for number in (parsed.kills, parsed.fleet, parsed.outages))


def run_history_drills(parsed: argparse.Namespace) -> int:
    """Plays those that are asked for, one after the other, and prints; returns 1 when a promise was broken."""
    _check(parsed)
    tell: Tell = (lambda text: None) if parsed.json else (lambda text: print(text, flush=True))
    pages: list[str] = []
    broken = False
    for play in _chosen(parsed, tell):
        with tempfile.TemporaryDirectory(prefix="genrewatch-drill-") as directory:
            finding = play(Path(directory))
        print(finding.as_json() if parsed.json else finding.words(), flush=True)
        pages.append(finding.markdown())
        broken |= finding.verdict == "fail"
    if parsed.disk:
        results = _disk(parsed, tell)
        pages.append(markdown(results))
        broken |= any(result.verdict == "fail" for result in results)
    if parsed.markdown:
        parsed.markdown.write_text("\n".join(pages))
    return int(broken)


def _chosen(parsed: argparse.Namespace, tell: Tell) -> list[Callable[[Path], Finding]]:
    chosen: list[Callable[[Path], Finding]] = []
    if parsed.kills is not None:
        chosen.append(lambda place: kill_drill(place, parsed.kills, seed=parsed.seed, tell=tell))
    if parsed.fleet is not None:
        chosen.append(lambda place: fleet_drill(place, parsed.fleet, minutes=parsed.minutes, tell=tell))
    if parsed.outages is not None:
        audio = parsed.audio or ()
        chosen.append(
            lambda place: outage_drill(place, parsed.outages, outage_s=parsed.outage_s, audio=audio, tell=tell)
        )
    return chosen


def _disk(parsed: argparse.Namespace, tell: Tell) -> Sequence[Result]:
    with tempfile.TemporaryDirectory(prefix="genrewatch-drill-") as directory:
        results = disk_drill(Path(directory), tell=lambda result: tell(line(result)))
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

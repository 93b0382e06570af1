"""`genrewatch replay`: derives each verdict again from the recorded posteriors and compares.

It shows that what a node published follows from the answers of its network, without any recorded sound.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrewatch.commands.options import add_history_location
from genrewatch.commands.output import print_lines
from genrewatch.contract.errors import ConfigError
from genrewatch.history.locate import find_database, open_history
from genrewatch.history.posterior_buffer import PAST
from genrewatch.history.recording import recorded_streams
from genrewatch.history.replay import Disagreement, Outcome, replay
from genrewatch.host.times import local_text, rfc3339_to_ms
from genrewatch.host.untrusted_text import json_text

MAX_WIDTH = 40
"""Longest source id for which the columns after it are aligned."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("log", nargs="?", type=Path, metavar="LOG", help="file of a history (default this node's)")
    add_history_location(parser)
    parser.add_argument("--source", action="append", metavar="ID", help="one source; repeat for several")
    parser.add_argument("--json", action="store_true", help="print a JSON line for each source")


def run(parsed: argparse.Namespace) -> int:
    """Print a line per source and its first disagreements; returns 1 if there is one."""
    path = parsed.log or find_database(parsed.state, parsed.node)
    with open_history(path) as reader:
        sources = sorted({stream.source for stream in recorded_streams(reader.db)})
        if not sources:
            raise ConfigError(str(path), "no recorded posteriors", "`[history] posteriors = 100000` in the config")
        for source in parsed.source or ():
            if source not in sources:
                raise ConfigError("--source", f"no posteriors of {source}", f"one of {', '.join(sources)}")
        outcomes = replay(reader.db, tuple(parsed.source or ()))
        width = min(MAX_WIDTH, max(map(len, outcomes)))
        lines: list[str] = []
        for source, outcome in outcomes.items():
            if parsed.json:
                lines.append(json_text({"source": source, **_fields(outcome)}))
            else:
                lines += [_text(source, outcome, width), *map(_difference, outcome.first)]
    print_lines(lines)
    return 1 if any(outcome.disagreeing or outcome.past_disagreeing for outcome in outcomes.values()) else 0


def _text(source: str, outcome: Outcome, width: int) -> str:
    derived = outcome.agreeing + outcome.disagreeing
    parts = [f"{outcome.segments} segments", f"{derived} verdicts derived", f"{outcome.agreeing} agree"]
    if outcome.disagreeing:
        parts.append(f"{outcome.disagreeing} DISAGREE")
    if outcome.past:
        agree = f"{outcome.past - outcome.past_disagreeing} agree"
        parts.append(f"{outcome.past} of the history, {agree}")
    if outcome.past_disagreeing:
        parts.append(f"{outcome.past_disagreeing} DISAGREE")
    if outcome.undecidable:
        parts.append(f"{outcome.undecidable} undecidable: the segments before them are not recorded")
    return f"{source:{width}}  {', '.join(parts)}"


def _difference(found: Disagreement) -> str:
    segment, started = found.segment, local_text(rfc3339_to_ms(found.stream.started))
    place = f"{segment.start / segment.sample_rate:.2f} - {segment.end / segment.sample_rate:.2f} s"
    recorded, derived = _recorded(found), found.derived
    keys = [key for key in derived if recorded.get(key) != derived[key]]
    differs = "; ".join(f"{key} {_brief(recorded.get(key))}, derived {_brief(derived[key])}" for key in keys)
    return f"  stream started {started}, {place}: recorded {differs}"


def _recorded(found: Disagreement) -> dict[str, Any]:
    return {"label": found.segment.label, **found.segment.verdict, PAST: found.segment.past}


def _brief(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {count}" for key, count in value.items())
    return "none" if value is None else str(value)


def _fields(outcome: Outcome) -> dict[str, Any]:
    return {
        "segments": outcome.segments,
        "derived": outcome.agreeing + outcome.disagreeing,
        "agreeing": outcome.agreeing,
        "disagreeing": outcome.disagreeing,
        "not_judgeable": outcome.undecidable,
        "past": outcome.past,
        "past_disagreeing": outcome.past_disagreeing,
        "disagreements": [
            {
                "stream": found.stream.started,
                "start_s": round(found.segment.start / found.segment.sample_rate, 3),
                "end_s": round(found.segment.end / found.segment.sample_rate, 3),
                "recorded": _recorded(found),
                "derived": found.derived,
            }
            for found in outcome.first
        ],
    }

"""`genrewatch correct`: states what a spell really was, and lists what was corrected."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from genrewatch.commands.options import add_history_location
from genrewatch.commands.output import print_lines
from genrewatch.contract.errors import ConfigError, require
from genrewatch.history.correction_records import present_corrections
from genrewatch.history.corrections import MAX_LABEL, Correction, Corrections, corrections_path, is_label
from genrewatch.history.locate import find_database, open_history
from genrewatch.host.times import local_text, rfc3339_to_ms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "seq", nargs="?", type=int, metavar="SEQ", help="number of the spell, as `history --json` has it"
    )
    parser.add_argument("--label", help="what was playing: a label of the model, or one of your own")
    parser.add_argument("--undo", action="store_true", help="withdraw the corrections of this spell")
    parser.add_argument("--list", action="store_true", help="print the corrections, the newest of each spell")
    parser.add_argument("--json", action="store_true", help="print them as JSON lines")
    add_history_location(parser)


def run(args: argparse.Namespace) -> int:
    """Keep a correction or list them; returns 0."""
    path = find_database(args.state, args.node)
    corrections = Corrections(corrections_path(path))
    if args.list or (args.json and args.seq is None):
        require(args.seq is None, "--list", f"SEQ {args.seq}", "no SEQ")
        with open_history(path) as reader:
            present = present_corrections(path, reader)
        print_lines([json.dumps(asdict(made)) if args.json else _line(made) for made in present])
        return 0
    require(args.seq is not None, "SEQ", "none", "the number of a spell, or --list")
    require((args.label is None) is args.undo, "--label", "no label" if args.label is None else "--undo", "one of both")
    require(args.undo or is_label(args.label), "--label", repr(args.label), f"1 to {MAX_LABEL} printable characters")
    made = Correction.of_spell(_spell(path, args.seq), args.label, "command")
    corrections.add(made)
    print_lines([json.dumps(asdict(made)) if args.json else _line(made)])
    return 0


def _spell(path: Path, seq: int) -> dict[str, object]:
    with open_history(path) as reader:
        spell = reader.spell(seq)
    if spell is None:
        raise ConfigError("SEQ", f"no spell {seq} in {path}", "a number that `genrewatch history --json` prints")
    return spell


def _line(made: Correction) -> str:
    number = "open" if made.seq is None else str(made.seq)
    label = "correction withdrawn" if made.label is None else made.label
    time = local_text(rfc3339_to_ms(made.start))
    return f"{number:>8}  {time}  {made.source}  {made.genre or f'({made.reason})'} -> {label}"

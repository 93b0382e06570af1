"""`genrewatch-train robustness`: a bundle on clips as they sound over poor links, in rooms and in noise."""

import argparse
import json
from pathlib import Path

from genrewatch.contract.errors import ConfigError
from genrewatch_trainer.commands.labelled_files import add_part, labelled_files
from genrewatch_trainer.commands.options import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "robustness", help="measure a bundle on narrow bands, codecs, rooms, noise and gain control"
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle directory")
    parser.add_argument(
        "--audio", type=Path, required=True, metavar="DIR", help="clips in DIR/GENRE/*.wav and the like"
    )
    add_part(parser)
    parser.add_argument("--condition", action="append", metavar="NAME", help="only this one; repeatable; default: all")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Classify every clip under every condition and print the table."""
    from genrewatch.contract.bundle import load_bundle
    from genrewatch_trainer.evaluation.robustness import robustness, table
    from genrewatch_trainer.evaluation.robustness_conditions import CONDITIONS

    conditions = parsed.condition or list(CONDITIONS)
    if unknown := [name for name in conditions if name not in CONDITIONS]:
        raise ConfigError("--condition", f"found {unknown[0]}", "one of " + "; ".join(CONDITIONS))
    clips = labelled_files(parsed, load_bundle(parsed.bundle).manifest.genres)
    found = robustness(parsed.bundle, clips, conditions)
    if parsed.json:
        for row in found:
            print(json.dumps(row.as_json(), allow_nan=False))
    else:
        print(table(found))
    return 0

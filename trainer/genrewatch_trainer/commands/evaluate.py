"""`genrewatch-train evaluate`: accuracy and calibration of a run or a bundle on clips."""

import argparse
import json
from pathlib import Path

from genrewatch_trainer.commands.options import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("evaluate", help="measure accuracy and calibration of a run or a bundle on clips")
    parser.add_argument("model", type=Path, metavar="RUN_OR_BUNDLE", help="run or bundle directory")
    parser.add_argument("--store", type=Path, help="clips to classify; default: those that the run held out")
    parser.add_argument("--split", metavar="SCHEME:PART", help="default: the run's own scheme, part test")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="write confusion matrices and report there")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Evaluate, print, and write the report if asked to."""
    from genrewatch_trainer.evaluation.evaluate import evaluate, parse_split
    from genrewatch_trainer.evaluation.report import print_report, write_report

    split = parse_split(parsed.split) if parsed.split else None
    evaluation = evaluate(parsed.model, store=parsed.store, split=split)
    if parsed.output:
        write_report(evaluation, parsed.output)
    if parsed.json:
        print(json.dumps(evaluation.as_json(), allow_nan=False))
    else:
        print_report(evaluation)
    return 0

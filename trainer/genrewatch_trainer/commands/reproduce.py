"""`genrewatch-train reproduce`: the paper's experiments, tables and figures."""

import argparse
from pathlib import Path

from genrewatch_trainer.commands.options import Subparsers, names, positive


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "reproduce", help="repeat the paper's experiments and write a report; the same command continues it"
    )
    parser.add_argument("store", type=Path, metavar="STORE", help="feature store of the corpus")
    parser.add_argument("-o", "--report", type=Path, required=True, metavar="DIR", help="folder of report and runs")
    parser.add_argument("--seeds", type=positive, default=3, metavar="N", help="fits of each split; default: 3")
    parser.add_argument("--epochs", type=positive, default=100, metavar="N", help="default: the paper's 100")
    parser.add_argument("--audio", type=Path, metavar="DIR", help="GENRE/*.wav (...), for the paper's own front end")
    parser.add_argument(
        "--only", type=names, metavar="PART,PART", help="do only these parts, report all that is there; see docs/lab.md"
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Fit what is missing and write the report."""
    from genrewatch_trainer.reproduce.reproduce import reproduce

    reproduce(
        parsed.store,
        parsed.report,
        seeds=parsed.seeds,
        epochs=parsed.epochs,
        audio=parsed.audio,
        only=parsed.only,
    )
    print(f"{parsed.report / 'report.md'}: written")
    return 0

"""`genrewatch-train classify`: the device's `genrewatch classify` on a Dask cluster."""

import argparse
from pathlib import Path

from genrewatch_trainer.commands.options import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("classify", help="run `genrewatch classify` on the workers of a Dask cluster")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="sound files and folders of them")
    parser.add_argument("--cluster", required=True, metavar="tcp://HOST:PORT", help="Dask scheduler")
    parser.add_argument("--bundle", metavar="DIR", help="directory of the model; default: the shipped one")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--timeline", action="store_true", help="add a line for each segment, the rolling verdict")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Classify and print; 1 when a file could not be read."""
    from genrewatch.commands.classify import find_files, print_all
    from genrewatch.daemon.config import ListenConfig
    from genrewatch_trainer.evaluation.classify import classify_on

    bundle = str(Path(parsed.bundle).absolute()) if parsed.bundle else None
    results = classify_on(parsed.cluster, find_files(parsed.paths), ListenConfig(bundle=bundle))
    return 1 if print_all(results, as_json=parsed.json, timeline=parsed.timeline) else 0

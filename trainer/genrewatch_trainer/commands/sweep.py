"""`genrewatch-train sweep`: train a list of configurations and compare them in a table."""

import argparse
from pathlib import Path

from genrewatch_trainer.commands.options import Subparsers, add_also, add_targets, load_also, load_targets
from genrewatch_trainer.quiet import import_quietly


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("sweep", help="train a list of configurations; the same command continues it")
    parser.add_argument("spec", type=Path, metavar="SPEC.toml", help="see trainer/genrewatch_trainer/training/sweep.py")
    parser.add_argument("store", type=Path, metavar="STORE", help="feature store")
    add_targets(parser)
    add_also(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the runs and table")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Train what is missing and write the table."""
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.training.sweep import load_spec, sweep

    spec, store = load_spec(parsed.spec), Store.load(parsed.store)
    extra, targets = load_also(parsed), load_targets(parsed)
    import_quietly("keras")
    rows = sweep(spec, store, parsed.output, extra=extra, targets=targets)
    print(f"{parsed.output / 'table.md'}: {len(rows)} configurations")
    return 0

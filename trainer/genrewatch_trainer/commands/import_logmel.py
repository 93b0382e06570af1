"""`genrewatch-train import-logmel`: a log-mel computed elsewhere to a feature store."""

import argparse
import sys
from pathlib import Path

from genrewatch_trainer.commands.options import Subparsers, add_splits


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("import-logmel", help="make a feature store from a log-mel computed elsewhere")
    parser.add_argument("npz", type=Path, metavar="NPZ", help="arrays codes, name, label, scale_db, clip_max_db")
    add_splits(parser)
    parser.add_argument("-o", "--store", type=Path, required=True, help="folder to write; must not exist")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write the store and print which clips repeat."""
    from genrewatch_trainer.data.logmel_import import import_logmel

    store, duplicates = import_logmel(parsed.npz, parsed.splits, parsed.store)
    for name, earlier in duplicates:
        print(f"duplicate: {name} has the same log-mel as {earlier}", file=sys.stderr)
    print(f"{parsed.store}: {len(store)} clips, splits {', '.join(store.index.splits) or 'none'}")
    return 0

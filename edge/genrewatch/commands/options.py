"""Options that several commands share."""

import argparse
from pathlib import Path


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """Add `--bundle`."""
    parser.add_argument("--bundle", metavar="DIR", help="directory of the model (default the shipped one)")


def add_history_location(parser: argparse.ArgumentParser, default: object = None) -> None:
    """Add `--node` and `--state`, which locate a history."""
    parser.add_argument("--node", metavar="ID", default=default, help="node, where the directory holds several")
    parser.add_argument("--state", type=Path, metavar="DIR", default=default, help="directory of the history")

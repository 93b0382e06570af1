"""Options that several commands share."""

import argparse
from pathlib import Path


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """Add `--bundle`."""
    parser.add_argument("--bundle", metavar="DIR", help="directory of the model (default the shipped one)")


def add_history_location(parser: argparse.ArgumentParser, default: object = None) -> None:
    """Add `--node` and `--state`, which say where a history is."""
    parser.add_argument("--node", metavar="ID", default=default, help="node, where the directory holds several")
    parser.add_argument("--state", type=Path, metavar="DIR", default=default, help="directory of the history")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add `--since`, `--until` and `--source`, which select a part of a history."""
    parser.add_argument(
        "--since", metavar="TIME", help="2026-11-24, '2026-11-24 18:00', RFC 3339, or 30min, 2h, 3d ago"
    )
    parser.add_argument("--until", metavar="TIME", help="likewise; a date is its midnight")
    parser.add_argument("--source", action="append", metavar="ID", help="one source; repeat for several")

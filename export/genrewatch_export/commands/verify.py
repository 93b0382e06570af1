"""`genrewatch-export verify`: every check of a bundle again, a line each."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from genrewatch_trainer.commands.options import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    text = "repeat every check of an export on this machine, a line each"
    parser = subparsers.add_parser("verify", help=text, description=text)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle directory")
    parser.add_argument("--waveform", type=Path, metavar="PATH", help="the bundle's waveform model")
    parser.add_argument(
        "--audio", type=Path, nargs="+", default=[], metavar="FILE", help="sound files to compare on as well"
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Check and print; 1 when a check fails."""
    from genrewatch_export.verify import verify

    checks = verify(parsed.bundle, waveform=parsed.waveform, audio=parsed.audio)
    for check in checks:
        print(json.dumps(asdict(check)) if parsed.json else f"{check.result:6}  {check.name:9}  {check.detail}")
    return 1 if any(check.result == "wrong" for check in checks) else 0

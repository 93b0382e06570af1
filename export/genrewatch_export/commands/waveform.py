"""`genrewatch-export waveform`: a bundle as one model from samples to posterior."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from genrewatch_export.commands import note
from genrewatch_trainer.commands.options import Subparsers

if TYPE_CHECKING:
    from genrewatch.contract.bundle import Bundle


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    text = "write a bundle as one model from samples to posterior"
    parser = subparsers.add_parser("waveform", help=text, description=text)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle directory")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PATH", help="genre_waveform.tflite")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write the model."""
    from genrewatch.contract.bundle import load_bundle

    write(load_bundle(parsed.bundle), parsed.output)
    return 0


def write(bundle: "Bundle", path: Path) -> None:
    """Write the waveform model of a bundle and print its size and speed."""
    from genrewatch_export.waveform import write_waveform

    model = write_waveform(bundle, path)
    note(f"{path}: {path.stat().st_size / 1000:.0f} kB, {model.ms():.2f} ms CPU per segment")

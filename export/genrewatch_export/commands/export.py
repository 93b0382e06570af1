"""`genrewatch-export RUN -o BUNDLE`: a run to a bundle."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from genrewatch.contract.errors import ConfigError
from genrewatch_export.commands import note
from genrewatch_export.commands.waveform import write

if TYPE_CHECKING:
    from genrewatch_export.bundle import Options

MOST_ACCURACY_DROP, MOST_POSTERIOR_ERROR = 0.005, 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("source", type=Path, metavar="RUN", help="run directory of genrewatch-train fit")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="BUNDLE", help="directory to write")
    parser.add_argument("--name", help="name in payloads; default: the bundle directory's")
    parser.add_argument(
        "--calibration-run",
        type=Path,
        metavar="RUN",
        help="run of the same recipe with a validation part, to calibrate a run that has none",
    )
    parser.add_argument("--vote", metavar="KEY=VALUE,...", help="vote defaults, such as segments=9,exit_segments=4")
    parser.add_argument("--vote-reason", metavar="TEXT", help="why these, for the manifest")
    parser.add_argument("--waveform", type=Path, metavar="PATH", help="also write a model from samples to posterior")
    _add_limits(parser)
    parser.set_defaults(run=run)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--float-layers", type=int, default=0, metavar="N", help="leave the N layers that cost most in float32"
    )
    parser.add_argument(
        "--max-kb", type=float, default=0.0, metavar="KB", help="skip layers that would make the network larger"
    )
    parser.add_argument(
        "--max-accuracy-drop",
        type=float,
        default=MOST_ACCURACY_DROP,
        metavar="FRACTION",
        help=f"clip accuracy that int8 may lose; default: {MOST_ACCURACY_DROP}",
    )
    parser.add_argument(
        "--max-posterior-error",
        type=float,
        default=MOST_POSTERIOR_ERROR,
        metavar="FRACTION",
        help=f"mean change of a probability by int8; default: {MOST_POSTERIOR_ERROR}",
    )


def run(parsed: argparse.Namespace) -> int:
    """Write the bundle, and the waveform model if asked to."""
    from genrewatch_export.bundle import export
    from genrewatch_trainer.run import Run

    options = _options(parsed)
    source = Run.load(parsed.source)
    calibration = Run.load(parsed.calibration_run) if parsed.calibration_run else source
    bundle = export(source, calibration, parsed.output, options, note)
    size = sum(path.stat().st_size for path in bundle.path.iterdir())
    note(f"{bundle.path}: {bundle.manifest.name} {bundle.manifest.version}, {size / 1000:.0f} kB in all")
    if parsed.waveform:
        write(bundle, parsed.waveform)
    return 0


def _options(parsed: argparse.Namespace) -> "Options":
    from genrewatch.contract.vote import VoteOverrides
    from genrewatch_export.bundle import Options
    from genrewatch_export.compare import Limits
    from genrewatch_trainer.evaluation.vote_values import parse_vote

    if bool(parsed.vote) != bool(parsed.vote_reason):
        raise ConfigError("--vote, --vote-reason", "one without the other", "both, so that the manifest gives a reason")
    return Options(
        name=parsed.name or parsed.output.name,
        limits=Limits(accuracy_drop=parsed.max_accuracy_drop, posterior_error=parsed.max_posterior_error),
        vote=parse_vote(parsed.vote, "--vote") if parsed.vote else VoteOverrides(),
        vote_reason=parsed.vote_reason,
        float_layers=parsed.float_layers,
        most_bytes=round(1000 * parsed.max_kb),
    )

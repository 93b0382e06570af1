"""The command line of the exporter: a run to a bundle, a bundle to a waveform model, and every check again.

genrewatch-export RUN -o BUNDLE [--waveform PATH]
genrewatch-export waveform BUNDLE -o PATH
genrewatch-export verify BUNDLE [--waveform PATH] [--audio FILE...]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from genrewatch.contract.errors import ConfigError, GenrewatchError, not_installed, os_error_reason

if TYPE_CHECKING:
    from genrewatch.contract.bundle import Bundle

DROP, ERROR = 0.005, 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"verify": _verify, "waveform": _waveform}
    try:
        if words and words[0] in commands:
            return commands[words[0]](words[1:])
        return _export(words)
    except GenrewatchError as exc:
        print(f"genrewatch-export: {exc}", file=sys.stderr)
    except OSError as exc:
        print(f"genrewatch-export: {exc.filename or 'disk'}: {os_error_reason(exc)}", file=sys.stderr)
    except ModuleNotFoundError as exc:
        print(f"genrewatch-export: {not_installed(exc, 'train')}", file=sys.stderr)
    return 2


def _export(words: Sequence[str]) -> int:
    parsed = export_parser().parse_args(words)
    from genrewatch.contract.vote import VoteOverrides
    from genrewatch_export.bundle import Options, export
    from genrewatch_export.compare import Limits
    from genrewatch_trainer.evaluation.vote_values import parse_vote
    from genrewatch_trainer.run import Run

    if bool(parsed.vote) != bool(parsed.vote_reason):
        raise ConfigError("--vote, --vote-reason", "one without the other", "both, so that the manifest says why")
    options = Options(
        name=parsed.name or parsed.output.name,
        limits=Limits(accuracy_drop=parsed.max_accuracy_drop, posterior_error=parsed.max_posterior_error),
        vote=parse_vote(parsed.vote, "--vote") if parsed.vote else VoteOverrides(),
        vote_reason=parsed.vote_reason,
        float_layers=parsed.float_layers,
        most_bytes=round(1000 * parsed.max_kb),
    )
    run = Run.load(parsed.run)
    calibration = Run.load(parsed.calibration_run) if parsed.calibration_run else run
    bundle = export(run, calibration, parsed.output, options, _say)
    size = sum(path.stat().st_size for path in bundle.path.iterdir())
    _say(f"{bundle.path}: {bundle.manifest.name} {bundle.manifest.version}, {size / 1000:.0f} kB in all")
    if parsed.waveform:
        _write_waveform(bundle, parsed.waveform)
    return 0


def export_parser() -> argparse.ArgumentParser:
    """The options of an export."""
    top = argparse.ArgumentParser(
        prog="genrewatch-export",
        description="Turns a run into a bundle for the device.",
        epilog="Further commands: genrewatch-export waveform BUNDLE -o PATH, genrewatch-export verify BUNDLE.",
    )
    top.add_argument("run", type=Path, metavar="RUN", help="run directory of genrewatch-train fit")
    top.add_argument("-o", "--output", type=Path, required=True, metavar="BUNDLE", help="directory to write")
    top.add_argument("--name", help="name in payloads (default the bundle directory's)")
    top.add_argument(
        "--calibration-run",
        type=Path,
        metavar="RUN",
        help="run of the same recipe with a validation part, for the temperature of a run that has none left",
    )
    top.add_argument("--vote", metavar="KEY=VALUE,...", help="vote defaults, such as segments=9,exit_segments=4")
    top.add_argument("--vote-reason", metavar="TEXT", help="why, for the manifest")
    top.add_argument("--waveform", type=Path, metavar="PATH", help="also write a model from samples to posterior")
    top.add_argument("--float-layers", type=int, default=0, metavar="N", help="leave the N costliest layers in float32")
    top.add_argument(
        "--max-kb",
        type=float,
        default=0.0,
        metavar="KB",
        help="pass over layers with which the network would be larger",
    )
    top.add_argument("--max-accuracy-drop", type=float, default=DROP, metavar="FRACTION", help="of clip accuracy")
    top.add_argument("--max-posterior-error", type=float, default=ERROR, metavar="FRACTION")
    return top


def _waveform(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="genrewatch-export waveform", description="A bundle as one model from samples to posterior."
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PATH", help="genre_waveform.tflite")
    parsed = parser.parse_args(words)
    from genrewatch.contract.bundle import load_bundle

    _write_waveform(load_bundle(parsed.bundle), parsed.output)
    return 0


def _write_waveform(bundle: "Bundle", path: Path) -> None:
    from genrewatch_export.waveform import write_waveform

    model = write_waveform(bundle, path)
    _say(f"{path}: {path.stat().st_size / 1000:.0f} kB, {model.ms():.2f} ms CPU a segment")


def _verify(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="genrewatch-export verify", description="Every check again, a line each.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--waveform", type=Path, metavar="PATH", help="the bundle's waveform model")
    parser.add_argument(
        "--audio", type=Path, nargs="+", default=[], metavar="FILE", help="sounds to compare on as well"
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parsed = parser.parse_args(words)
    from genrewatch_export.verify import verify

    checks = verify(parsed.bundle, waveform=parsed.waveform, audio=parsed.audio)
    for check in checks:
        print(json.dumps(asdict(check)) if parsed.json else f"{check.result:6}  {check.name:9}  {check.detail}")
    return 1 if any(check.result == "wrong" for check in checks) else 0


def _say(text: str) -> None:
    print(f"genrewatch-export: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

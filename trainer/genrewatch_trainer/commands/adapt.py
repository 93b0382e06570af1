"""`genrewatch-train adapt`: a bundle with labels of one's own, from a folder per label."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from genrewatch.contract.errors import ConfigError, not_installed
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch_trainer.commands.options import Subparsers, names, positive_number

if TYPE_CHECKING:
    from genrewatch_trainer.adaptation.adapt import Measured

SHARE, STRENGTH = 0.75, 0.006


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "adapt", help="fit the head of a bundle on your own sound, a folder per label or a labelled recording"
    )
    parser.add_argument(
        "audio",
        type=Path,
        metavar="AUDIO",
        help="folder with LABEL/*.wav (.au .mp3 .flac .ogg), or with --labels one recording",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="TSV", help="rows of start, end (seconds) and label, as Audacity exports labels"
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        default=SHIPPED_BUNDLE,
        metavar="BUNDLE",
        help="bundle to start from, with a summary (default: the shipped one)",
    )
    parser.add_argument(
        "--keep",
        type=names,
        metavar="LABEL,...",
        help="labels of the bundle to keep beside your own, `none` for none of its genres; default: all. "
        "not_music always stays",
    )
    parser.add_argument(
        "--share",
        type=positive_number,
        default=SHARE,
        help=f"weight of your files in a label that the bundle has too, up to 1; default: {SHARE}",
    )
    parser.add_argument(
        "--strength",
        type=positive_number,
        default=STRENGTH,
        metavar="C",
        help=f"inverse of the penalty; default: {STRENGTH}",
    )
    parser.add_argument("--jobs", type=int, default=-1, metavar="N", help="processes; default: one per core")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="MY_BUNDLE", help="bundle directory to write"
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Measure on held-out files, fit on all of them, write the bundle, and print the figures."""
    from genrewatch.contract.bundle import load_bundle
    from genrewatch.contract.bundle_writer import check_replaceable

    try:
        from genrewatch_trainer.adaptation.adapt import adaptation, measure, write_adapted
        from genrewatch_trainer.adaptation.own_clips import clips_of_folder, clips_of_recording, own_clips
    except ModuleNotFoundError as exc:
        raise not_installed(exc, "adapt") from None
    if parsed.share > 1:
        raise ConfigError("--share", f"found {parsed.share:g}", "at most 1")
    check_replaceable(parsed.output)
    bundle = load_bundle(parsed.bundle)
    if parsed.labels:
        clips = clips_of_recording(bundle, parsed.audio, parsed.labels)
    else:
        clips = clips_of_folder(bundle, parsed.audio, parsed.jobs)
    for clip in clips:
        if clip.error:
            print(f"left out: {clip.error}", file=sys.stderr)
    own = own_clips(parsed.audio.resolve().name, clips)
    keep = bundle.manifest.labels if parsed.keep is None else () if parsed.keep == ("none",) else parsed.keep
    material = adaptation(bundle, own, keep, parsed.share, parsed.strength)
    measured = measure(bundle, material)
    _print(measured)
    written = write_adapted(bundle, material, parsed.output, measured)
    print(f"{written.path}: {written.manifest.name}, labels {', '.join(written.manifest.labels)}")
    return 0


def _print(measured: "Measured") -> None:
    figures, n = measured.figures, int(measured.figures["n_clips"])
    share = float(figures["clip_accuracy_mean"])
    error = (share * (1 - share) / n) ** 0.5
    by_vote = f"{figures['clip_accuracy_vote']:.1%} by vote"
    print(f"held-out clips: {share:.1%} +- {error:.1%} of {n} right by mean posterior, {by_vote}")
    for label, (right, total) in measured.by_label.items():
        print(f"  {label}: {right} of {total}")
    if measured.before is not None:
        print(f"before, of the labels that the bundle knew: {measured.before:.1%} of them right")
    print(f"what the bundle knew: {measured.kept[0]:.1%} of its summary right before, {measured.kept[1]:.1%} after")

"""`genrewatch-train prepare`: sound files to a feature store."""

import argparse
import sys
from pathlib import Path

from genrewatch_trainer.commands.options import FRONT_ENDS, Subparsers, add_front_end, add_splits


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("prepare", help="compute a feature store from sound files, one folder per genre")
    parser.add_argument("audio", type=Path, metavar="AUDIO_DIR", help="folder with GENRE/*.wav (.au .mp3 .flac .ogg)")
    parser.add_argument("-o", "--store", type=Path, required=True, help="folder to write; must not exist")
    add_front_end(parser, "compact")
    add_splits(parser)
    parser.add_argument("--jobs", type=_jobs, default=-1, metavar="N", help="processes; default: one per core")
    parser.add_argument("--cluster", metavar="tcp://HOST:PORT", help="use the workers of this Dask scheduler instead")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Compute the store and print what was skipped and what repeats."""
    from genrewatch_trainer.data.prepare import prepare

    done = prepare(
        parsed.audio,
        parsed.store,
        FRONT_ENDS[parsed.front_end],
        splits=parsed.splits,
        jobs=parsed.jobs,
        cluster=parsed.cluster,
    )
    for item in done.skipped:
        print(f"skipped: {item.error}", file=sys.stderr)
    for name, earlier in done.duplicates:
        print(f"duplicate: {name} has the same samples as {earlier}", file=sys.stderr)
    print(
        f"{parsed.store}: {done.n_clips} clips, {len(done.skipped)} skipped, {len(done.duplicates)} duplicates, "
        f"log-mel within {done.difference_db:.1e} dB of librosa's"
    )
    return 0


def _jobs(text: str) -> int:
    if not text.removeprefix("-").isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number of processes, or -1 for one per core")
    return int(text)

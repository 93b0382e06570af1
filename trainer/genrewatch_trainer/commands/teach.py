"""`genrewatch-train teach`: a teacher program's answers to random crops of sound files."""

import argparse
from pathlib import Path

from genrewatch_trainer.commands.options import FRONT_ENDS, Subparsers, add_front_end, add_seed, names, positive


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("teach", help="store a teacher's answers to random crops; continues a stopped one")
    parser.add_argument("audio", nargs="+", type=Path, metavar="AUDIO_DIR", help="sound files, in folders of any depth")
    parser.add_argument(
        "--teacher", required=True, metavar="PROGRAM", help="reads crops, writes vectors; see docs/lab.md"
    )
    parser.add_argument("--crops", type=positive, default=20_000, metavar="N", help="default: 20000")
    add_front_end(parser, "compact")
    parser.add_argument(
        "--splits", type=Path, metavar="TSV", help="of the files in this table, take crops only from those of --parts"
    )
    parser.add_argument("--split", default="fault_filtered", metavar="SCHEME", help="column; default: fault_filtered")
    parser.add_argument("--parts", type=names, default="train", metavar="PART,PART", help="default: train")
    parser.add_argument(
        "--degraded",
        type=positive,
        default=0,
        metavar="N",
        help="store N copies of each crop as sound arrives in the field, for `reteach`; default: none",
    )
    parser.add_argument(
        "--noise", nargs="+", type=Path, default=[], metavar="DIR", help="sound files, noise of the copies"
    )
    add_seed(parser, "the places and changes of crops")
    parser.add_argument("-o", "--targets", type=Path, required=True, help="folder to write")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Make the target store, or continue it."""
    from genrewatch_trainer.distillation.crops import CropChanges
    from genrewatch_trainer.distillation.teach import find_songs, index_of, teach

    songs = find_songs(parsed.audio, parsed.splits, parsed.split, parsed.parts)
    front_end = FRONT_ENDS[parsed.front_end]
    noises = find_songs(parsed.noise, None, parsed.split, parsed.parts) if parsed.noise else []
    index = index_of(
        songs,
        parsed.teacher,
        front_end,
        CropChanges(),
        n_crops=parsed.crops,
        seed=parsed.seed,
        n_degraded=parsed.degraded,
        noises=noises,
    )
    targets = teach(songs, index, parsed.targets, noises)
    print(f"{targets.path}: {len(targets)} crops of {len(songs)} files, {targets.target.shape[1]} values each")
    return 0

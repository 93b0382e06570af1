"""`genrewatch-train not-music`: a feature store of the label `not_music`."""

import argparse
from pathlib import Path

from genrewatch_trainer.commands.options import FRONT_ENDS, Subparsers, add_front_end, add_seed
from genrewatch_trainer.data.splits import RANDOM_VALID


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "not-music", help="make a feature store of speech, ambient sound and synthetic noise"
    )
    parser.add_argument("audio", nargs="*", type=Path, metavar="AUDIO_DIR", help="recordings without music")
    add_front_end(parser, "compact")
    parser.add_argument("--split", default=RANDOM_VALID, metavar="SCHEME", help=f"name of the split; {RANDOM_VALID}")
    add_seed(parser, "the synthetic sounds")
    parser.add_argument("-o", "--store", type=Path, required=True, help="folder to write; must not exist")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Compute the store."""
    from genrewatch_trainer.data.not_music import not_music_store

    front_end = FRONT_ENDS[parsed.front_end]
    store = not_music_store(parsed.audio, parsed.store, front_end, scheme=parsed.split, seed=parsed.seed)
    print(f"{store.path}: {len(store)} clips, provenance: {store.index.provenance}")
    return 0

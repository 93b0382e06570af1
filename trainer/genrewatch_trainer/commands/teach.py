"""The commands `teach` and `not-music` of genrewatch-train."""

import argparse
from pathlib import Path

from genrewatch.contract.errors import ConfigError
from genrewatch.contract.front_end import COMPACT, PAPER
from genrewatch_trainer.data.splits import RANDOM_VALID

FRONT_ENDS = {"paper": PAPER, "compact": COMPACT}


def add_teach(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command `teach`."""
    it = commands.add_parser("teach", help="what a teacher says of random crops of sound; run again, it goes on")
    it.add_argument("audio", nargs="+", type=Path, metavar="AUDIO_DIR", help="sound files, in folders of any depth")
    it.add_argument(
        "--teacher",
        required=True,
        metavar="PROGRAM",
        help="reads crops, writes vectors; see docs/lab.md",
    )
    it.add_argument("--crops", type=int, default=20_000, metavar="N", help="default: 20000")
    it.add_argument("--front-end", choices=FRONT_ENDS, default="compact", help="default: compact")
    it.add_argument("--splits", type=Path, metavar="TSV", help="of the files it names, only those of --parts are heard")
    it.add_argument("--split", default="fault_filtered", metavar="SCHEME", help="column; default: fault_filtered")
    it.add_argument("--parts", default="train", metavar="PART,PART", help="default: train")
    it.add_argument("--seed", type=int, default=0, help="of places and changes; default: 0")
    it.add_argument("-o", "--targets", type=Path, required=True, help="folder to write")
    it.set_defaults(command=_teach)


def add_not_music(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command `not-music`."""
    it = commands.add_parser("not-music", help="talk, the world around and noise made here, to a feature store")
    it.add_argument("audio", nargs="*", type=Path, metavar="AUDIO_DIR", help="recordings without music")
    it.add_argument("--front-end", choices=FRONT_ENDS, default="compact", help="default: compact")
    it.add_argument("--split", default=RANDOM_VALID, metavar="SCHEME", help=f"names train and test; {RANDOM_VALID}")
    it.add_argument("--seed", type=int, default=0, help="of what is made here; default: 0")
    it.add_argument("-o", "--store", type=Path, required=True, help="folder to write, must not exist")
    it.set_defaults(command=_not_music)


def _teach(arguments: argparse.Namespace) -> None:
    from genrewatch_trainer.distillation.crops import CropChanges
    from genrewatch_trainer.distillation.teach import find_songs, index_of, teach

    if arguments.crops < 1 or arguments.seed < 0:
        raise ConfigError("--crops, --seed", f"found {arguments.crops}, {arguments.seed}", "at least 1, at least 0")
    songs = find_songs(arguments.audio, arguments.splits, arguments.split, arguments.parts.split(","))
    front_end = FRONT_ENDS[arguments.front_end]
    index = index_of(songs, arguments.teacher, front_end, CropChanges(), n_crops=arguments.crops, seed=arguments.seed)
    targets = teach(songs, index, arguments.targets)
    print(f"{targets.path}: {len(targets)} crops of {len(songs)} files, {targets.target.shape[1]} values each")


def _not_music(arguments: argparse.Namespace) -> None:
    from genrewatch_trainer.data.not_music import not_music_store

    if arguments.seed < 0:
        raise ConfigError("--seed", f"found {arguments.seed}", "at least 0")
    front_end = FRONT_ENDS[arguments.front_end]
    store = not_music_store(arguments.audio, arguments.store, front_end, scheme=arguments.split, seed=arguments.seed)
    print(f"{store.path}: {len(store)} clips, provenance: {store.index.provenance}")

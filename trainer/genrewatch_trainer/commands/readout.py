"""`genrewatch-train readout`: its options; and `--also`, which `fit` and `sweep` have too."""

import argparse
import json
from pathlib import Path

from genrewatch.contract.errors import ConfigError
from genrewatch_trainer.data.splits import RANDOM_VALID


def add_readout(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the parser."""
    it = commands.add_parser("readout", help="a genre head by logistic regression on what a taught run has learned")
    it.add_argument("taught", type=Path, metavar="TAUGHT_RUN", help="run of `fit --targets`")
    it.add_argument("store", type=Path, metavar="STORE")
    add_also(it)
    it.add_argument("--split", default=RANDOM_VALID, metavar="SCHEME", help=f"default: {RANDOM_VALID}")
    it.add_argument("--train-parts", default="train", metavar="PART,PART", help="default: train")
    it.add_argument("--strength", type=_share, default=0.1, metavar="C", help="inverse of the penalty; default: 0.1")
    it.add_argument("--pooling", choices=("mean", "bands"), default="mean", help="over time and bands, or time alone")
    it.add_argument(
        "--opinion",
        type=_opinion,
        action="append",
        default=[],
        metavar="NPZ[=TARGETS,TARGETS]",
        help="features of clips that another program heard, whose regression softens the labels, and labels the crops "
        "of TARGETS, whose teacher was that program; may be repeated",
    )
    it.add_argument("--opinion-share", type=_share, default=0.5, metavar="SHARE", help="in a label; default: 0.5")
    it.add_argument(
        "--crops-share", type=_share, default=0.3, metavar="SHARE", help="weight of all crops of TARGETS; default: 0.3"
    )
    it.add_argument(
        "--folds",
        type=int,
        default=0,
        metavar="N",
        help="also judge the training clips of each artist by a head that has not learned from them, in N folds",
    )
    it.add_argument("-o", "--run", type=Path, required=True, help="run folder")
    it.set_defaults(command=_readout)


def add_also(it: argparse.ArgumentParser) -> None:
    """Adds `--also`."""
    it.add_argument(
        "--also",
        type=_also,
        action="append",
        default=[],
        metavar="STORE[=SHARE]",
        help="more labelled clips, SHARE of them for one of STORE's (default 0.25); may be repeated",
    )


def _also(text: str) -> tuple[Path, float]:
    path, _, share = text.partition("=")
    try:
        found = float(share or 0.25)
    except ValueError:
        found = 0.0
    if not (path and 0 < found <= 100):
        raise argparse.ArgumentTypeError(f"found {text}, expected STORE or STORE=SHARE, the share above 0")
    return Path(path), found


def _opinion(text: str) -> tuple[Path, tuple[Path, ...]]:
    path, _, targets = text.partition("=")
    return Path(path), tuple(Path(one) for one in targets.split(",") if one)


def _share(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 1e6:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number above 0")
    return found


def _readout(arguments: argparse.Namespace) -> None:
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.run import Run

    taught, store = Run.load(arguments.taught), Store.load(arguments.store)
    also = tuple((Store.load(path), share) for path, share in arguments.also)
    from genrewatch_trainer.distillation.feature_table import read_table
    from genrewatch_trainer.distillation.soft_labels import SoftLabels
    from genrewatch_trainer.distillation.targets import Targets

    if arguments.opinion_share > 1:
        raise ConfigError("--opinion-share", f"found {arguments.opinion_share}", "at most 1")
    if arguments.folds < 0 or arguments.folds == 1:
        raise ConfigError("--folds", f"found {arguments.folds}", "0 or at least 2")
    tables = tuple(read_table(path, tuple(map(Targets.load, targets))) for path, targets in arguments.opinion)
    soft_labels = SoftLabels(tables=tables, share=arguments.opinion_share, crops_share=arguments.crops_share)
    from genrewatch_trainer.distillation.readout import fit_readout, readout_of  # loads Keras

    experiment = readout_of(
        taught,
        store,
        scheme=arguments.split,
        train_parts=tuple(arguments.train_parts.split(",")),
        extra_stores=also,
        pooling=arguments.pooling,
    )
    run = fit_readout(
        experiment,
        arguments.run,
        strength=arguments.strength,
        soft_labels=soft_labels if tables else None,
        folds=arguments.folds,
    )
    print(f"{run.path}: {json.dumps(run.record.metrics)}")

"""`genrewatch-train readout`: a genre head by logistic regression on the features of a distilled run."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from genrewatch.contract.errors import ConfigError
from genrewatch_trainer.commands.options import Subparsers, add_also, load_also, names, positive_number
from genrewatch_trainer.data.splits import RANDOM_VALID
from genrewatch_trainer.quiet import import_quietly

if TYPE_CHECKING:
    from genrewatch_trainer.distillation.soft_labels import SoftLabels


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("readout", help="fit a genre head by logistic regression on a distilled run")
    parser.add_argument("taught", type=Path, metavar="TAUGHT_RUN", help="run of `fit --targets`")
    parser.add_argument("store", type=Path, metavar="STORE", help="feature store")
    add_also(parser)
    parser.add_argument("--split", default=RANDOM_VALID, metavar="SCHEME", help=f"default: {RANDOM_VALID}")
    parser.add_argument("--train-parts", type=names, default="train", metavar="PART,PART", help="default: train")
    parser.add_argument(
        "--strength", type=positive_number, default=0.1, metavar="C", help="inverse of the penalty; default: 0.1"
    )
    parser.add_argument(
        "--pooling", choices=("mean", "bands"), default="mean", help="over time and bands (mean), or only over time"
    )
    _add_opinions(parser)
    parser.add_argument(
        "--folds",
        type=int,
        default=0,
        metavar="N",
        help="also evaluate all training clips, in N folds by artist, with heads fitted on the other artists",
    )
    parser.add_argument("-o", "--run", dest="output", type=Path, required=True, metavar="RUN", help="run folder")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Fit the head and print the metrics of the run."""
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.run import Run

    if parsed.opinion_share > 1:
        raise ConfigError("--opinion-share", f"found {parsed.opinion_share}", "at most 1")
    if parsed.folds < 0 or parsed.folds == 1:
        raise ConfigError("--folds", f"found {parsed.folds}", "0 or at least 2")
    taught, store, extra = Run.load(parsed.taught), Store.load(parsed.store), load_also(parsed)
    soft_labels = _soft_labels(parsed)
    import_quietly("keras")  # after everything that can fail at once
    from genrewatch_trainer.distillation.readout import fit_readout, readout_of

    experiment = readout_of(
        taught,
        store,
        scheme=parsed.split,
        train_parts=parsed.train_parts,
        extra_stores=extra,
        pooling=parsed.pooling,
    )
    done = fit_readout(experiment, parsed.output, strength=parsed.strength, soft_labels=soft_labels, folds=parsed.folds)
    print(f"{done.path}: {json.dumps(done.record.metrics)}")
    return 0


def _add_opinions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--opinion",
        type=_table_and_targets,
        action="append",
        default=[],
        metavar="NPZ[=TARGETS,TARGETS]",
        help="features of the clips by another model: a regression on them softens the labels, and labels the crops of "
        "TARGETS, whose teacher was that model; repeatable",
    )
    parser.add_argument(
        "--opinion-share", type=positive_number, default=0.5, metavar="SHARE", help="share of a label; default: 0.5"
    )
    parser.add_argument(
        "--crops-share",
        type=positive_number,
        default=0.3,
        metavar="SHARE",
        help="weight of all crops of TARGETS together; default: 0.3",
    )


def _soft_labels(parsed: argparse.Namespace) -> "SoftLabels | None":
    from genrewatch_trainer.distillation.feature_table import read_table
    from genrewatch_trainer.distillation.soft_labels import SoftLabels
    from genrewatch_trainer.distillation.targets import Targets

    if not parsed.opinion:
        return None
    tables = tuple(read_table(path, tuple(map(Targets.load, targets))) for path, targets in parsed.opinion)
    return SoftLabels(tables=tables, share=parsed.opinion_share, crops_share=parsed.crops_share)


def _table_and_targets(text: str) -> tuple[Path, tuple[Path, ...]]:
    path, _, targets = text.partition("=")
    return Path(path), tuple(Path(name) for name in targets.split(",") if name)

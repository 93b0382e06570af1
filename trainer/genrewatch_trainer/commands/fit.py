"""`genrewatch-train fit`: train a network from a feature store."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from genrewatch_trainer.commands.options import (
    Subparsers,
    add_also,
    add_seed,
    add_targets,
    load_also,
    load_targets,
    names,
)
from genrewatch_trainer.quiet import import_quietly
from genrewatch_trainer.training.recipes import RECIPES, Recipe, recipe_named

SPLIT = "random_60_10_30"


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("fit", help="train a network; the same command continues a stopped run")
    parser.add_argument("store", type=Path, metavar="STORE", help="feature store")
    parser.add_argument("--recipe", default="compact", help=f"{', '.join(RECIPES)}; default: compact")
    add_targets(parser)
    add_also(parser)
    parser.add_argument("--start-from", type=Path, metavar="RUN", help="start with the weights of another run")
    parser.add_argument("--split", default=SPLIT, metavar="SCHEME", help=f"default: {SPLIT}")
    parser.add_argument("--train-parts", type=names, default="train", metavar="PART,PART", help="default: train")
    parser.add_argument("--epochs", type=int, help="default: the recipe's, 100")
    parser.add_argument("--batch", type=int, help="segments per step; default: the recipe's, 32")
    add_seed(parser, "weights, crops and a random split")
    parser.add_argument("-o", "--run", dest="output", type=Path, required=True, metavar="RUN", help="run folder")
    parser.add_argument(
        "--precision",
        choices=("float32", "mixed"),
        default="float32",
        help="mixed: bfloat16 products; default: float32",
    )
    parser.add_argument(
        "--devices", choices=("one", "all"), default="one", help="all: split each batch over all GPUs; default: one"
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Train, or continue training, and print the metrics of the run."""
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.run import Run
    from genrewatch_trainer.training.experiment import Experiment

    experiment = Experiment(
        recipe=_recipe(parsed),
        store=Store.load(parsed.store),
        scheme=parsed.split,
        train_parts=parsed.train_parts,
        seed=parsed.seed,
        extra_stores=load_also(parsed),
        targets=load_targets(parsed),
        start=Run.load(parsed.start_from) if parsed.start_from else None,
    )
    import_quietly("keras")  # after everything that can fail at once
    from genrewatch_trainer.training.fit import fit
    from genrewatch_trainer.training.hardware import hardware

    with hardware(precision=parsed.precision, every_device=parsed.devices == "all"):
        done = fit(experiment, parsed.output)
    print(f"{done.path}: {done.record.epochs_done} epochs, {json.dumps(done.record.metrics)}")
    return 0


def _recipe(parsed: argparse.Namespace) -> Recipe:
    changes = {key: getattr(parsed, key) for key in ("epochs", "batch") if getattr(parsed, key) is not None}
    return replace(recipe_named(parsed.recipe), **changes)

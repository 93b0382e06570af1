"""`genrewatch-train benchmark-feed`: how fast the input pipeline delivers batches, without a network."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from genrewatch.contract.errors import DataError
from genrewatch_trainer.commands.options import Subparsers, positive
from genrewatch_trainer.training.recipes import recipe_named


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("benchmark-feed", help="measure how fast batches are made, without a network")
    parser.add_argument("store", type=Path, metavar="STORE", help="feature store")
    parser.add_argument("--recipe", default="compact", help="default: compact")
    parser.add_argument("--batch", type=int, help="segments per batch; default: the recipe's, 32")
    parser.add_argument("--batches", type=positive, default=200, metavar="N", help="default: 200")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Measure and print."""
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.training.benchmark import feed_speed

    recipe, store = recipe_named(parsed.recipe), Store.load(parsed.store)
    if store.index.front_end != recipe.front_end:
        raise DataError(f"{store.path}: front_end", f"is not that of recipe {recipe.name}", f"{recipe.front_end}")
    if parsed.batch is not None:
        recipe = replace(recipe, batch=parsed.batch)
    speed = feed_speed(store, recipe, batches=parsed.batches)
    if parsed.json:
        print(json.dumps(asdict(speed)))
    else:
        print(
            f"{speed.batches_per_s:.1f} batches/s, {speed.segments_per_s:.0f} segments/s, {speed.mb_per_s:.0f} MB/s, "
            f"{speed.batch_ms:.1f} ms per batch: a training step that takes longer never waits for data"
        )
    return 0

"""Options and value types that several commands share."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from genrewatch.contract.front_end import COMPACT, PAPER

if TYPE_CHECKING:
    from genrewatch_trainer.data.store import Store
    from genrewatch_trainer.distillation.targets import Targets

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
FRONT_ENDS = {"paper": PAPER, "compact": COMPACT}
LARGEST_SEED = 2**32 - 1
DEFAULT_SHARE = 0.25


def add_front_end(parser: argparse.ArgumentParser, default: str) -> None:
    """Add `--front-end`."""
    parser.add_argument("--front-end", choices=FRONT_ENDS, default=default, help=f"default: {default}")


def add_splits(parser: argparse.ArgumentParser) -> None:
    """Add `--splits`."""
    parser.add_argument("--splits", type=Path, metavar="TSV", help="table with name, label and a column per scheme")


def add_seed(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Add `--seed`; `purpose` names what it is the seed of."""
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help=f"seed of {purpose}; default: 0")


def add_also(parser: argparse.ArgumentParser) -> None:
    """Add `--also`, more labelled clips."""
    parser.add_argument(
        "--also",
        type=store_and_share,
        action="append",
        default=[],
        metavar="STORE[=SHARE]",
        help=f"further labelled clips, SHARE of them for each clip of STORE (default {DEFAULT_SHARE}); repeatable",
    )


def add_targets(parser: argparse.ArgumentParser) -> None:
    """Add `--targets`, crops with a teacher's answers."""
    parser.add_argument(
        "--targets", type=Path, action="append", default=[], metavar="TARGETS", help="output of `teach`; repeatable"
    )


def load_also(parsed: argparse.Namespace) -> "tuple[tuple[Store, float], ...]":
    """Return the stores of `--also`, each with its share."""
    from genrewatch_trainer.data.store import Store

    return tuple((Store.load(path), share) for path, share in parsed.also)


def load_targets(parsed: argparse.Namespace) -> "tuple[Targets, ...]":
    """Return the target stores of `--targets`."""
    from genrewatch_trainer.distillation.targets import Targets

    return tuple(Targets.load(path) for path in parsed.targets)


def seed(text: str) -> int:
    """Return a seed, 0 to 2**32 - 1."""
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"found {text}, expected 0 to {LARGEST_SEED}")
    return int(text)


def positive(text: str) -> int:
    """Return an integer, at least 1."""
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000_000:
        raise argparse.ArgumentTypeError(f"found {text}, expected 1 or more")
    return int(text)


def positive_number(text: str) -> float:
    """Return a number above 0, at most 1,000,000."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1e6:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number above 0")
    return number


def names(text: str) -> tuple[str, ...]:
    """Return the words of a comma-separated list."""
    return tuple(text.split(","))


def store_and_share(text: str) -> tuple[Path, float]:
    """Return path and share of `STORE` or `STORE=SHARE`."""
    path, _, share = text.partition("=")
    try:
        number = float(share or DEFAULT_SHARE)
    except ValueError:
        number = 0.0
    if not (path and 0 < number <= 100):
        raise argparse.ArgumentTypeError(f"found {text}, expected STORE or STORE=SHARE, the share above 0")
    return Path(path), number

"""`genrewatch-train reteach`: the body of a bundle taught again from crops, their degraded copies and a teacher."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from genrewatch.contract.errors import ConfigError
from genrewatch_trainer.commands.options import Subparsers, add_seed, names, positive, positive_number

if TYPE_CHECKING:
    from genrewatch_trainer.adaptation.reteach import Explained
    from genrewatch_trainer.data.store import Store


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("reteach", help="teach the body of a bundle again; then fit its head by `refit`")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle directory; its shape is kept")
    parser.add_argument(
        "targets", nargs="+", type=Path, metavar="TARGETS", help="output of `teach`, with or without degraded copies"
    )
    parser.add_argument(
        "--clips", type=Path, metavar="STORE", help="also learn segments of clips, changed in their log-mel"
    )
    parser.add_argument("--split", metavar="SCHEME", help="split of that store; its clips of --train-parts are used")
    parser.add_argument("--train-parts", type=names, default="train", metavar="PART,PART", help="default: train")
    parser.add_argument(
        "--without",
        nargs="+",
        type=Path,
        default=[],
        metavar="CLIP",
        help="leave out these clips, to measure with: names, or folders that hold their sound",
    )
    parser.add_argument(
        "--start", type=Path, metavar="BUNDLE", help="begin with the body of this bundle; default: that of BUNDLE"
    )
    parser.add_argument("--steps", type=positive, default=2400, metavar="N", help="default: 2400")
    parser.add_argument("--batch", type=positive, default=48, metavar="N", help="default: 48")
    parser.add_argument(
        "--rate", type=positive_number, default=0.001, metavar="X", help="learning rate; default: 0.001"
    )
    parser.add_argument(
        "--value-weight",
        type=positive_number,
        default=1.0,
        metavar="X",
        help="weight of the teacher's values beside the body's own features; default: 1",
    )
    add_seed(parser, "the batches")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="BUNDLE", help="bundle directory to write")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Teach the body, write the bundle with its old head, and print what is explained before and after."""
    from genrewatch_trainer.quiet import import_quietly

    import_quietly("keras")
    from genrewatch.contract.bundle import load_bundle
    from genrewatch.contract.bundle_writer import check_replaceable
    from genrewatch.contract.front_end import FrontEnd
    from genrewatch_trainer.adaptation.reteach import Schedule, reteach, write_reteach
    from genrewatch_trainer.adaptation.reteach_rows import rows_of
    from genrewatch_trainer.distillation.targets import Targets

    check_replaceable(parsed.output)
    bundle = load_bundle(parsed.bundle)
    front_end = FrontEnd(bundle.manifest.front_end)
    store, chosen = _clips(parsed)
    targets = [Targets.load(path) for path in parsed.targets]
    rows = rows_of(front_end, targets, store, chosen)
    schedule = Schedule(
        steps=parsed.steps, batch=parsed.batch, rate=parsed.rate, value_weight=parsed.value_weight, seed=parsed.seed
    )
    start = load_bundle(parsed.start).model if parsed.start else bundle.model
    model, before, after = reteach(bundle.model, start, rows, front_end, schedule)
    written = write_reteach(bundle, model, parsed.output, schedule, {path.path.name: len(path) for path in targets})
    _print("before", before)
    _print("after", after)
    print(f"{written.path}: the head is the old one; fit it by `genrewatch-train refit`")
    return 0


def _clips(parsed: argparse.Namespace) -> tuple["Store | None", list[int]]:
    from genrewatch_trainer.data.splits import parts_of
    from genrewatch_trainer.data.store import Store

    if parsed.clips is None:
        return None, []
    if parsed.split is None:
        raise ConfigError("--split", "is missing", "a split of the store, so that no test clip is used")
    store = Store.load(parsed.clips)
    parts = parts_of(store.index, parsed.split, seed=0)
    left_out = {path.name for path in parsed.without if not path.is_dir()}
    left_out |= {file.stem for path in parsed.without if path.is_dir() for file in path.rglob("*") if file.is_file()}
    clips = enumerate(store.index.clips)
    return store, [i for i, clip in clips if parts.get(clip.name) in parsed.train_parts and clip.name not in left_out]


def _print(when: str, found: "Explained") -> None:
    print(
        f"{when}: explained of its own features {found.features:.1%}, of degraded copies {found.degraded:.1%}, "
        f"of the teacher's values {found.values:.1%} (least {found.least_value:.1%})"
    )

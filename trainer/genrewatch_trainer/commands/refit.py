"""`genrewatch-train refit`: a new head for a bundle, fitted on labelled clips; the body stays."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from genrewatch.contract.errors import ConfigError
from genrewatch_trainer.commands.options import Subparsers, add_also, load_also, names, positive_number

if TYPE_CHECKING:
    from genrewatch.contract.bundle import Bundle
    from genrewatch_trainer.adaptation.refit import Material, Measured


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("refit", help="fit the head of a bundle again on labelled clips")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle directory; its body and labels are kept")
    parser.add_argument("store", type=Path, metavar="STORE", help="feature store of the main collection")
    add_also(parser)
    parser.add_argument("--split", required=True, metavar="SCHEME", help="split of the main collection")
    parser.add_argument("--train-parts", type=names, default="train", metavar="PART,PART", help="default: train")
    parser.add_argument(
        "--strength", type=positive_number, default=0.0005, metavar="C", help="inverse of the penalty; default: 0.0005"
    )
    parser.add_argument(
        "--field",
        type=positive_number,
        metavar="WEIGHT",
        help="learn each clip also over narrow bands, in noise and in a room; together they have this weight of it",
    )
    parser.add_argument("--folds", type=int, default=8, metavar="N", help="folds of the measurement; default: 8")
    parser.add_argument("--vote", metavar="KEY=VALUE,...", help="vote defaults, such as segments=3,filter=hmm")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="BUNDLE", help="bundle directory to write")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Measure across artists, fit on all clips, write the bundle, and print the figures."""
    from genrewatch.contract.bundle import load_bundle
    from genrewatch.contract.bundle_writer import check_replaceable
    from genrewatch.contract.vote import VoteOverrides
    from genrewatch_trainer.adaptation.refit import measure, write_refit
    from genrewatch_trainer.evaluation.vote_values import parse_vote

    if parsed.folds < 2:
        raise ConfigError("--folds", f"found {parsed.folds}", "at least 2")
    if wrong := [share for _, share in parsed.also if share > 1]:
        raise ConfigError("--also", f"found a share of {wrong[0]:g}", "at most 1: a share of the weight of each label")
    check_replaceable(parsed.output)
    bundle = load_bundle(parsed.bundle)
    material = _material(parsed, bundle)
    manifest = bundle.manifest
    vote = (parse_vote(parsed.vote, "--vote") if parsed.vote else VoteOverrides()).apply(manifest.vote)
    measured = measure(material, parsed.folds, vote, manifest.front_end.sample_rate)
    _print(measured)
    written = write_refit(bundle, material, parsed.output, measured, vote)
    print(f"{written.path}: {written.manifest.name} {written.manifest.version}, {len(material.labels)} labels")
    return 0


def _material(parsed: argparse.Namespace, bundle: "Bundle") -> "Material":
    from genrewatch_trainer.adaptation.balanced_fit import Collection
    from genrewatch_trainer.adaptation.clip_features import clip_features
    from genrewatch_trainer.adaptation.field import CHANGES
    from genrewatch_trainer.adaptation.refit import Material
    from genrewatch_trainer.data.splits import parts_of
    from genrewatch_trainer.data.store import Store

    store = Store.load(parsed.store)
    parts = parts_of(store.index, parsed.split, seed=0)
    chosen = [i for i, clip in enumerate(store.index.clips) if parts.get(clip.name) in parsed.train_parts]
    if not chosen:
        raise ConfigError(
            "--train-parts", f"found {','.join(parsed.train_parts)}", ", ".join(sorted(set(parts.values())))
        )
    changes = CHANGES if parsed.field else None
    return Material(
        main=clip_features(bundle, store, chosen, changes),
        others=tuple(
            Collection(clips=clip_features(bundle, other, range(len(other)), changes), share=share)
            for other, share in load_also(parsed)
        ),
        labels=bundle.manifest.labels,
        strength=parsed.strength,
        field_weight=parsed.field or 0.0,
    )


def _print(measured: "Measured") -> None:
    figures = measured.across_artists
    print(
        f"across artists: {figures['n_clips']} clips, {figures['clip_accuracy_mean']:.1%} by mean posterior, "
        f"{figures['clip_accuracy_vote']:.1%} by vote ({figures['refused']} refused), "
        f"segments {figures['segment_accuracy']:.1%}, verdict ECE {figures['verdict_ece']:.3f}"
    )
    for name, share in measured.other_collections.items():
        print(f"{name}: {share:.1%} of the clips, by heads fitted without them")
    for name, share in measured.collections_apart.items():
        print(f"{name}: {share:.1%}")
    print(
        f"temperature {measured.temperature:g}, sharpness {measured.sharpness:g}, "
        f"without a filter {measured.plain_sharpness:g}"
    )
    print(f"music beyond the distance {measured.out_of_set.threshold:g} is unknown")

"""`genrewatch learn`: a new head for the bundle from corrected spells, if it is better."""

import argparse
from collections import Counter

from genrewatch.commands.bundle import NOTICE
from genrewatch.commands.bundle_options import add_bundle_location, located
from genrewatch.commands.output import print_lines
from genrewatch.contract.bundle import Bundle, load_bundle
from genrewatch.contract.errors import BundleError, DataError, require
from genrewatch.history.database import database_path
from genrewatch.history.feature_store import features_path, read_features
from genrewatch.history.locate import open_history
from genrewatch.host.untrusted_text import printable
from genrewatch.inference.head import body_hash, read_head
from genrewatch.learning.bundle_choice import CONFIGURED, BundleChoice, Bundles
from genrewatch.learning.corrected_spells import CorrectedSpells, corrected_spells
from genrewatch.learning.learned_bundle import next_path, write_learned
from genrewatch.learning.refit import FEWEST_SPELLS, Figures, fit, labels_to_learn, measure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_bundle_location(parser)
    parser.add_argument("--from", dest="start", metavar="NAME", default=CONFIGURED, help="bundle to start from")
    parser.add_argument(
        "--max-loss", type=float, default=5.0, metavar="POINTS", help="most to lose on its summary; default 5"
    )
    parser.add_argument(
        "--min-gain", type=float, default=20.0, metavar="POINTS", help="least gain on held-out spells; default 20"
    )
    parser.add_argument("--no-use", action="store_true", help="write the bundle, and keep using the present one")


def run(parsed: argparse.Namespace) -> int:
    """Learn; returns 1 if the new head is refused."""
    for key in ("max_loss", "min_gain"):
        option = f"--{key.replace('_', '-')}"
        require(0 <= getattr(parsed, key) <= 100, option, getattr(parsed, key), "0 to 100 points")
    bundles, choice = located(parsed)
    bundle = load_bundle(bundles.path(parsed.start))
    if bundle.summary is None:
        raise BundleError(str(bundle.path), "has no summary.npz", "a bundle made by version 0.4 or later")
    material = _material(bundle, bundles, choice.path.name.removeprefix("bundle-"))
    labels, too_few = labels_to_learn(bundle.manifest.labels, material.spells)
    spells = [spell for spell in material.spells if spell.label in labels]
    print_lines(_left_out(material.left_out, too_few))
    if len(spells) < FEWEST_SPELLS:
        raise DataError("learn", f"{len(spells)} corrected spells with features", f"{FEWEST_SPELLS} or more")
    old, head = read_head(bundle.model), fit(bundle.summary, labels, spells)
    figures = measure(old, head, bundle.summary, labels, spells)
    print_lines(_text(figures, Counter(spell.label for spell in spells)))
    if refusal := figures.refusal(parsed.max_loss, parsed.min_gain):
        print_lines([f"refused, nothing is changed: {refusal}"])
        return 1
    written = write_learned(bundle, head, labels, spells, figures, next_path(bundles.learned))
    print_lines([f"{written.path}: written"])
    if not parsed.no_use:
        _use(choice, written.path.name)
    return 0


def _material(bundle: Bundle, bundles: Bundles, node: str) -> CorrectedSpells:
    database = database_path(bundles.state, node)
    features = read_features(features_path(database))
    assert bundle.summary is not None
    with open_history(database) as reader:
        return corrected_spells(database, reader, features, body_hash(bundle.model), bundle.summary.centres.shape[1])


def _use(choice: BundleChoice, name: str) -> None:
    before = choice.read()
    choice.write(name)
    print_lines([f"{name} is chosen: {NOTICE}", f"back: genrewatch bundle use {before}"])


def _left_out(reasons: Counter[str], too_few: list[str]) -> list[str]:
    lines = [f"left out, {count}: {reason}" for reason, count in sorted(reasons.items())]
    return lines + [f"left out, too few spells of a new label: {printable(label)}" for label in too_few]


def _text(figures: Figures, counts: Counter[str]) -> list[str]:
    labels = ", ".join(f"{printable(label)} {count}" for label, count in counts.most_common())
    return [
        f"{figures.spells} corrected spells in {figures.groups} {figures.held_out}: {labels}",
        f"held out, {figures.held_out} together: {figures.before:.0%} right before, {figures.after:.0%} after",
        f"the bundle's summary: {figures.summary_before:.1%} right before, {figures.summary_after:.1%} after",
    ]

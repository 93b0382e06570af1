"""`genrewatch bundle`: lists the bundles of a node, shows one, and chooses the one to use."""

import argparse

from genrewatch.commands.bundle_options import add_bundle_location, located
from genrewatch.commands.output import print_lines
from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.errors import GenrewatchError
from genrewatch.host.untrusted_text import json_text, printable
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.golden import check_golden
from genrewatch.learning.bundle_choice import CONFIGURED, BundleChoice, Bundles

NOTICE = "a running daemon uses it within seconds, another one from its next start on"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, run_action, text in (
        ("list", _list, "print the names of all bundles"),
        ("show", _show, "print what a bundle is and where it comes from"),
        ("use", _use, "use a bundle from now on, also after a restart"),
    ):
        action = actions.add_parser(name, help=text)
        add_bundle_location(action)
        if name != "list":
            help_text = "name of a bundle; `shipped` is the one of genrewatch, `configured` that of the configuration"
            action.add_argument("name", metavar="NAME", nargs="?" if name == "show" else None, help=help_text)
        action.set_defaults(run=run_action)


def run(parsed: argparse.Namespace) -> int:
    """Fail without an action, which argparse does not let happen."""
    raise AssertionError(parsed)


def _list(parsed: argparse.Namespace) -> int:
    bundles, choice = located(parsed)
    chosen = choice.read()
    print_lines([_line(bundles, name, chosen) for name in bundles.names()])
    return 0


def _show(parsed: argparse.Namespace) -> int:
    bundles, choice = located(parsed)
    manifest = load_bundle(bundles.path(parsed.name or choice.read())).manifest
    fields = {"name": manifest.name, "version": manifest.version, "labels": manifest.labels}
    print_lines([json_text({**fields, "metrics": manifest.metrics, "provenance": manifest.provenance})])
    return 0


def _use(parsed: argparse.Namespace) -> int:
    bundles, choice = located(parsed)
    bundle = load_bundle(bundles.path(parsed.name))
    check_golden(bundle, Classifier.of(bundle))
    before = _before(choice)
    choice.write(parsed.name)
    print_lines([f"{parsed.name} is chosen: {NOTICE}", f"back: genrewatch bundle use {before}"])
    return 0


def _before(choice: BundleChoice) -> str:
    try:
        return choice.read()
    except GenrewatchError:
        return CONFIGURED  # whatever was in the file, it is replaced


def _line(bundles: Bundles, name: str, chosen: str) -> str:
    try:
        manifest = load_bundle(bundles.path(name)).manifest
        text = f"{printable(manifest.name)} {printable(manifest.version)}, {len(manifest.labels)} labels"
    except GenrewatchError as exc:
        text = f"cannot be used: {printable(str(exc))}"
    return f"{'*' if name == chosen else ' '} {name:14} {text}"

"""Options that locate the bundles of a node, for `bundle` and `learn`."""

import argparse
from pathlib import Path

from genrewatch.contract.errors import ConfigError
from genrewatch.contract.ids import is_id
from genrewatch.daemon.config import load_config
from genrewatch.host.node import state_directory
from genrewatch.host.paths import expand_home
from genrewatch.learning.bundle_choice import BundleChoice, Bundles


def add_bundle_location(parser: argparse.ArgumentParser) -> None:
    """Add `--config`, `--state` and `--node`."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration of the daemon, where it has one")
    parser.add_argument("--state", type=Path, metavar="DIR", help="state directory of the daemon")
    parser.add_argument("--node", metavar="ID", help="node; default that of the configuration or state directory")


def located(parsed: argparse.Namespace) -> tuple[Bundles, BundleChoice]:
    """Return the bundles and the choice of a node; raises ConfigError."""
    config, state = load_config(parsed.config), parsed.state or state_directory()
    others = None if config.mqtt.bundles is None else expand_home(config.mqtt.bundles)
    if not state.is_dir():
        raise ConfigError(str(state), "no such directory", "the state directory of `genrewatch listen`, see --state")
    node = parsed.node or config.node or _only_node(state)
    if not is_id(node):
        raise ConfigError("--node", f"found {node[:64]!a}", "the id of a node")
    return Bundles(state=state, configured=config.bundle_path, others=others), BundleChoice(state, node)


def _only_node(state: Path) -> str:
    """Return the node whose daemon has run in the directory; ConfigError where that were several, or none."""
    nodes = sorted(path.stem for path in state.glob("*.lock") if is_id(path.stem))
    if len(nodes) != 1:
        found = f"daemons of {', '.join(nodes)}" if nodes else "no daemon has run"
        raise ConfigError("--node", f"{found} in {state}", "the id of a node, or --config FILE")
    return nodes[0]

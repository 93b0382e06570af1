"""`genrewatch backup`: writes history, corrections, node id, persistent state and configuration into one file."""

import argparse
from pathlib import Path

from genrewatch.contract.errors import ConfigError
from genrewatch.contract.ids import ID_CHARACTERS, is_id
from genrewatch.daemon.config import load_config
from genrewatch.history.backup.save import save
from genrewatch.host.node import node_id, state_directory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="archive to write; it replaces an older one")
    parser.add_argument("--config", type=Path, metavar="CONFIG", help="configuration file to include")
    parser.add_argument("--node", metavar="ID", help="node (default that of CONFIG, or of the state directory)")
    parser.add_argument("--state", type=Path, metavar="DIR", help="state directory (default that of this user)")


def run(args: argparse.Namespace) -> int:
    """Write the archive while the daemon runs; returns 0."""
    directory = args.state or state_directory()
    node = args.node or load_config(args.config).node or _kept(directory)
    if not is_id(node):
        raise ConfigError("--node", f"found {node!r}", ID_CHARACTERS)
    manifest = save(args.file, directory, node, args.config)
    print(f"{args.file}: node {node}, {', '.join(manifest.files)}; {args.file.stat().st_size} bytes, checked")
    return 0


def _kept(directory: Path) -> str:
    """Return the id in the state directory, which only a daemon makes."""
    if not (directory / "node_id").exists():
        raise ConfigError(str(directory), "no node_id here", "--state DIR, where a daemon has run, or --node ID")
    return node_id(directory)

"""The settings of `genrewatch listen`: those of the file, overridden by the command line."""

import argparse
from dataclasses import replace
from pathlib import Path

from genrewatch.commands.options import add_bundle
from genrewatch.contract.errors import require
from genrewatch.contract.ids import ID_CHARACTERS, is_id
from genrewatch.daemon.config import ListenConfig, load_config
from genrewatch.sinks.web.config import web_address
from genrewatch.sources.uri import SourceConfig


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and the options that override its keys."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file; options here override it")
    parser.add_argument(
        "--source",
        action="append",
        metavar="URI",
        help="auto, mic:, mic:NAME, file:PATH, stdin:, cmd:COMMAND or demo:; repeat for several (default auto)",
    )
    add_bundle(parser)
    parser.add_argument("--mqtt", metavar="URL", help="mqtt://HOST[:PORT], mqtts://..., auto or none (default auto)")
    parser.add_argument("--web", metavar="ADDRESS", help="[HOST:]PORT of the page, or none (default 127.0.0.1:8710)")
    parser.add_argument("--node", metavar="ID", help="id of this node in topics (default one kept on disk)")


def effective_config(args: argparse.Namespace) -> ListenConfig:
    """Return the settings of the file, overridden by the command line."""
    config = load_config(args.config)
    if args.source:
        config = replace(config, source=tuple(SourceConfig(uri=uri) for uri in args.source))
    if not config.source:
        config = replace(config, source=(SourceConfig(uri="auto"),))
    if args.bundle:
        config = replace(config, bundle=args.bundle)
    if args.mqtt:
        config = replace(config, mqtt=replace(config.mqtt, url=args.mqtt))
    if args.web:
        config = replace(config, web=web_address(args.web, config.web))
    if args.node is not None:
        require(is_id(args.node), "--node", repr(args.node), ID_CHARACTERS)
        config = replace(config, node=args.node)
    return config

"""`genrewatch config show`: the settings of `genrewatch listen` in the form of the file, each with its origin."""

import argparse
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

from genrewatch.commands.effective_config import effective_config
from genrewatch.commands.output import print_lines
from genrewatch.contract.decode import read_toml
from genrewatch.daemon.config_file.origins import Keys, Layers, Setting, effective_settings
from genrewatch.daemon.config_file.tables import toml
from genrewatch.host.node import node_id, state_directory
from genrewatch.host.persistent_state import PersistentState

WIDTH = 60
"""Column of the origin."""


def show(args: argparse.Namespace) -> int:
    """Print every setting with its origin; returns 0."""
    settings = effective_settings(_layers(args))
    print_lines(map(_json_line, settings) if args.json else _lines(settings))
    return 0


def _layers(args: argparse.Namespace) -> Layers:
    chosen = effective_config(args)
    only_file = argparse.Namespace(**dict.fromkeys(vars(args)) | {"config": args.config})
    directory = state_directory()
    node = chosen.node or _kept_node()
    return Layers(
        in_file=read_toml(args.config) if args.config else {},
        of_file=effective_config(only_file),
        of_command_line=chosen,
        of_environment=replace(
            chosen, mqtt=chosen.mqtt.with_environment(os.environ), web=chosen.web.with_environment(os.environ)
        ),
        node=node,
        persistent_state=PersistentState(directory / f"memory-{node}.json"),
    )


def _kept_node() -> str:
    """Return the node's id; made by the first start, not by this command."""
    directory = state_directory()
    return node_id(directory) if (directory / "node_id").exists() else "made at the first start"


def _json_line(setting: Setting) -> str:
    return json.dumps({"key": _dotted(setting.path), "value": setting.value, "from": setting.origin})


def _dotted(path: Keys) -> str:
    """Return a path as text: `source[0].vote.segments`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


def _lines(settings: Iterable[Setting]) -> Iterator[str]:
    """Yield the lines of a TOML file; what is not set is a comment."""
    table: Keys = ()
    for setting in settings:
        if setting.path[:-1] != table:
            table = setting.path[:-1]
            yield ""
            yield _header(table)
        key, unknown = setting.path[-1], table[:1] == ("source",) and setting.path[-1] == "silence_dbfs"
        text = f"#{key}" if setting.value is None else f"{'#' * unknown}{key} = {toml(setting.value)}"
        yield f"{text:{WIDTH}}  # {setting.origin}"


def _header(table: Keys) -> str:
    names = ".".join(key for key in table if isinstance(key, str))
    return f"[[{names}]]" if isinstance(table[-1], int) else f"[{names}]"

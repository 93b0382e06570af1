"""The reference of the configuration file, read from the dataclasses that decode it."""

import dataclasses
import types
from typing import Any, Literal, Union, get_args, get_origin

from docs.scripts.markdown import code, page, table

from genrewatch.contract.decode import Unlimited
from genrewatch.daemon.config_file.tables import Key, Table, tables, toml

INTRODUCTION = """\
The file of `genrewatch listen --config FILE` is TOML. Every key is optional unless marked *required*. An
unknown key, a wrong type or a value out of range is one line on standard error and exit code 2. Options on the
command line replace keys of the file. [deploy/genrewatch.toml](../../deploy/genrewatch.toml) is an example that
holds every key.
"""

SCALARS = {str: "text", int: "integer", float: "number", Unlimited: "number or `inf`", bool: "`true` or `false`"}


def kind(hint: Any) -> str:
    """Return a type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return kind(next(part for part in inner if part is not type(None)))
    if origin is Literal:
        return " or ".join(code(toml(value)) for value in inner)
    if origin is dict:
        return f"table of {kind(inner[1])}"
    if origin is tuple:
        return "list of text" if get_origin(inner[0]) is Literal else f"list of {kind(inner[0])}"
    return SCALARS[hint]


def configuration_page() -> str:
    """Return the page of every key."""
    parts = []
    for found in tables():
        rows = [(code(key.name), kind(key.hint), _default(found, key), key.meaning) for key in found.keys]
        parts += [
            f"## {code(found.header)}" if found.header else "## Top of the file",
            found.meaning,
            table(("key", "type", "default", "meaning"), rows),
        ]
    return page("Configuration file", INTRODUCTION, *parts)


def _default(found: Table, key: Key) -> str:
    if key.default is dataclasses.MISSING:
        return "*required*"
    if found.name == "source.vote":
        return "`[vote]`"
    if found.name == "vote":
        return f"the bundle's; shipped: {code(toml(key.default))}"
    return "-" if key.default is None else code(toml(key.default))

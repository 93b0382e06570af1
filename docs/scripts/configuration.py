"""The reference of the configuration file, read from the dataclasses that decode it."""

import dataclasses
import json
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from docs.scripts.field_docs import field_docs
from docs.scripts.markdown import code, page, sentence, table

from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.decode import Unlimited
from genrewatch.contract.vote import VoteOverrides
from genrewatch.daemon.config import ListenConfig

INTRODUCTION = """\
The file of `genrewatch listen --config FILE` is TOML. Every key is optional unless marked *required*. An
unknown key, a wrong type or a value out of range is one line on standard error and exit code 2. Options on the
command line replace keys of the file. [deploy/genrewatch.toml](../../deploy/genrewatch.toml) is an example that
holds every key.
"""

SCALARS = {str: "text", int: "integer", float: "number", Unlimited: "number or `inf`", bool: "`true` or `false`"}


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of a table."""

    name: str
    """The key as it is written."""
    kind: str
    """Its type, in words."""
    default: object
    """Value when the key is absent; None for none, `dataclasses.MISSING` for a key that is required."""
    meaning: str
    """Its docstring as a sentence."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of the file, `[mqtt]`, or list of tables, `[[source]]`; the top of the file has an empty name."""

    name: str
    """Dotted name, empty for the top of the file."""
    repeated: bool
    """A list of tables."""
    meaning: str
    """Docstring of the field that holds it."""
    keys: tuple[Key, ...]
    """Its own keys, without tables below it."""

    @property
    def header(self) -> str:
        """The line that begins it."""
        return f"[[{self.name}]]" if self.repeated else f"[{self.name}]" if self.name else ""


def tables(config: type = ListenConfig) -> list[Table]:
    """Return every table of the file, the top first, each before the tables below it."""
    return list(_tables(config, "", repeated=False, meaning="Keys at the top of the file, before the first table."))


def _tables(cls: type, name: str, *, repeated: bool, meaning: str) -> Iterator[Table]:
    docs, hints = field_docs(cls), get_type_hints(cls)
    keys, below = [], []
    for field in dataclasses.fields(cls):
        inner, many = _table_type(hints[field.name])
        if inner is None:
            keys.append(_key(cls, field, hints[field.name], docs[field.name]))
        else:
            below.append((inner, f"{name}.{field.name}".lstrip("."), many, docs[field.name]))
    yield Table(name=name, repeated=repeated, meaning=sentence(meaning), keys=tuple(keys))
    for inner, path, many, text in below:
        yield from _tables(inner, path, repeated=many, meaning=text)


def _table_type(hint: Any) -> tuple[type | None, bool]:
    """Return the dataclass of a field that is a table, and whether it is a list of them; None for a plain key."""
    many = get_origin(hint) is tuple
    inner = get_args(hint)[0] if many else hint
    return (inner, many) if dataclasses.is_dataclass(inner) and isinstance(inner, type) else (None, False)


def _key(cls: type, field: "dataclasses.Field[Any]", hint: Any, text: str) -> Key:
    default = _shipped_votes()[field.name] if cls is VoteOverrides else _default_of(field)
    return Key(name=field.name, kind=kind(hint), default=default, meaning=sentence(text))


def _default_of(field: "dataclasses.Field[Any]") -> object:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _shipped_votes() -> dict[str, object]:
    """Return the vote of the shipped bundle, which stands where the file has no key."""
    return dataclasses.asdict(load_bundle(ListenConfig().bundle_path).manifest.vote)


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


def toml(value: object) -> str:
    """Return a scalar, a list or a table as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def configuration_page() -> str:
    """Return the page of every key."""
    parts = []
    for found in tables():
        rows = [(code(key.name), key.kind, _default(found, key), key.meaning) for key in found.keys]
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

"""The tables and keys of the configuration file, read from the dataclasses that decode it."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.vote import VoteOverrides
from genrewatch.daemon.config import ListenConfig
from genrewatch.daemon.config_file.field_docs import field_docs


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of a table."""

    name: str
    """The key as it is written."""
    hint: Any
    """Its Python type."""
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
        inner, many = table_type(hints[field.name])
        if inner is None:
            keys.append(_key(cls, field, hints[field.name], docs[field.name]))
        else:
            below.append((inner, f"{name}.{field.name}".lstrip("."), many, docs[field.name]))
    yield Table(name=name, repeated=repeated, meaning=sentence(meaning), keys=tuple(keys))
    for inner, path, many, text in below:
        yield from _tables(inner, path, repeated=many, meaning=text)


def table_type(hint: Any) -> tuple[type | None, bool]:
    """Return the dataclass of a field that is a table, and whether it is a list of them; None for a plain key."""
    many = get_origin(hint) is tuple
    inner = get_args(hint)[0] if many else hint
    return (inner, many) if dataclasses.is_dataclass(inner) and isinstance(inner, type) else (None, False)


def _key(cls: type, field: "dataclasses.Field[Any]", hint: Any, text: str) -> Key:
    default = _shipped_votes()[field.name] if cls is VoteOverrides else _default_of(field)
    return Key(name=field.name, hint=hint, default=default, meaning=sentence(text))


def _default_of(field: "dataclasses.Field[Any]") -> object:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _shipped_votes() -> dict[str, object]:
    """Return the vote of the shipped bundle, which stands where the file has no key."""
    return dataclasses.asdict(load_bundle(ListenConfig().bundle_path).manifest.vote)


def toml(value: object) -> str:
    """Return a scalar, a list or a table as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, float) and value == float("inf"):
        return "inf"
    return json.dumps(value, ensure_ascii=False)


def sentence(text: str) -> str:
    """Return a help text as a sentence: a capital letter first, a full stop last."""
    text = " ".join(text.split())
    if not text:
        return text
    first = text if text.split()[0].endswith(":") else text[0].upper() + text[1:]
    return first if first.endswith((".", "!", "?", ":")) else first + "."

"""Strict decoding of TOML and JSON into frozen dataclasses: unknown keys, wrong types and absent keys are named.

    decode(ListenConfig, tomllib.loads(text), where="genrewatch.toml")
    -> ConfigError: genrewatch.toml: mqtt.prot: unknown key, did you mean port?

Supported field types: bool, int, float, `Unlimited`, str, another dataclass, `X | None`, `Literal`, `tuple[X, ...]`,
`dict[str, X]`.
"""

import dataclasses
import difflib
import json
import math
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from genrewatch.contract.errors import ConfigError, GenrewatchError, os_error_reason

T = TypeVar("T")
Unlimited = NewType("Unlimited", float)
"""A number that may be infinite."""
SCALARS = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}


def decode(cls: type[T], data: object, *, where: str, path: str = "", error: type[GenrewatchError] = ConfigError) -> T:
    """Build dataclass `cls` from a mapping.

    `where` names the file and `path` the key at which `data` lies. Raises `error` on an unknown or missing key and on
    a wrong type or value.
    """
    if not isinstance(data, Mapping):
        raise error(f"{where}: {path}" if path else where, f"found {_brief(data)}", "a table of keys")
    hints = get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    _check_keys(data, tuple(fields), where, path, error)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _field_value(field, hints[name], data[name], where, _join(path, name), error)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise error(f"{where}: {_join(path, name)}", "missing key")
    try:
        return cls(**values)
    except GenrewatchError as exc:  # from __post_init__, which does not know the file
        raise error(f"{where}: {_join(path, exc.where)}", exc.found, exc.expected) from None


def encode(value: object) -> Any:
    """Turn dataclasses and tuples into the dicts and lists of JSON and TOML; the inverse of `decode`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return value


def read_json(path: Path, *, error: type[GenrewatchError] = ConfigError) -> Any:
    """Read the JSON value in `path`; NaN and Infinity, which are not JSON, are refused."""

    def not_json(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    try:
        return json.loads(_read_text(path, error), parse_constant=not_json)
    except (ValueError, RecursionError) as exc:
        raise error(str(path), f"is not JSON ({exc})") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Read the TOML document in `path`."""
    try:
        return tomllib.loads(_read_text(path, ConfigError))
    except (ValueError, RecursionError) as exc:
        raise ConfigError(str(path), f"is not TOML ({exc})") from None


def _read_text(path: Path, error: type[GenrewatchError]) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # without the byte order mark that editors on Windows write
    except OSError as exc:
        raise error(str(path), os_error_reason(exc)) from None
    except UnicodeDecodeError:
        raise error(str(path), "is not UTF-8 text") from None


def _check_keys(
    data: Mapping[Any, Any], known: tuple[str, ...], where: str, path: str, error: type[GenrewatchError]
) -> None:
    """Raise `error` on a key that is not known, with the nearest known one."""
    for key in data:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]}?" if close else f"known keys: {' '.join(known)}"
            raise error(f"{where}: {_join(path, str(key))}", f"unknown key, {hint}")


def _value(kind: Any, data: object, where: str, path: str, error: type[GenrewatchError]) -> Any:
    """Decode `data` to type `kind`, one of those in the module's docstring."""
    origin, args = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return decode(kind, data, where=where, path=path, error=error)
    if origin in (Union, types.UnionType):  # only X | None
        inner = next(a for a in args if a is not type(None))
        return None if data is None else _value(inner, data, where, path, error)
    if origin is Literal:
        if data not in args:
            raise error(f"{where}: {path}", f"found {_brief(data)}", "one of " + ", ".join(map(str, args)))
        return data
    if origin in (tuple, dict):
        return _container(origin, args, data, where, path, error)
    if kind is Any:
        return data
    if kind is Unlimited:
        return math.inf if data == math.inf else _scalar(float, data, f"{where}: {path}", error)
    return _scalar(kind, data, f"{where}: {path}", error)


def _field_value(
    field: "dataclasses.Field[Any]", kind: Any, data: object, where: str, path: str, error: type[GenrewatchError]
) -> Any:
    """Decode the value of a field; the error of a secret one (`repr=False`) does not quote it."""
    try:
        return _value(kind, data, where, path, error)
    except GenrewatchError as exc:
        if field.repr:
            raise
        raise error(exc.where, f"found {_kind_of(data)}", exc.expected) from None


def _container(
    origin: type, args: tuple[Any, ...], data: object, where: str, path: str, error: type[GenrewatchError]
) -> Any:
    """Decode `data` to `tuple[X, ...]` or `dict[str, X]`."""
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise error(f"{where}: {path}", f"found {_brief(data)}", "a list")
        return tuple(_value(args[0], item, where, f"{path}[{i}]", error) for i, item in enumerate(data))
    if not isinstance(data, Mapping):
        raise error(f"{where}: {path}", f"found {_brief(data)}", "a table")
    return {str(k): _value(args[1], v, where, _join(path, str(k)), error) for k, v in data.items()}


def _scalar(kind: Any, data: object, where: str, error: type[GenrewatchError]) -> Any:
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        try:
            number = float(data)
        except OverflowError:  # JSON and TOML integers have no limit
            number = math.inf
        if not math.isfinite(number):  # TOML has nan and inf, JSON has 1e999
            raise error(where, f"found {_brief(data)}", "a finite number")
        return number
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise error(where, f"found {_brief(data)}", SCALARS[kind])
    return data


def _brief(data: object) -> str:
    """Return a value as short JSON text; one with a URL, which may hold a login, is not quoted."""
    try:
        text = json.dumps(data, default=str)
    except ValueError:  # Python does not print an integer of thousands of digits
        return "a number out of range"
    if "://" in text:
        return _kind_of(data)
    return text if len(text) <= 40 else text[:37] + "..."


def _kind_of(data: object) -> str:
    """Return the kind of a value, for an error that must not quote it."""
    if isinstance(data, Mapping):
        return "a table"
    return SCALARS.get(type(data), "a list" if isinstance(data, list | tuple) else "another value")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key

"""The effective settings one by one, each with the place where its value is set."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.decode import encode
from genrewatch.daemon.config import ListenConfig
from genrewatch.daemon.config_file.faults import source_names
from genrewatch.daemon.shown_config import shown_config
from genrewatch.daemon.source_settings import SETTINGS_KEY
from genrewatch.host.persistent_state import PersistentState
from genrewatch.sinks.mqtt.config import PASSWORD_VARIABLE, USERNAME_VARIABLE
from genrewatch.sinks.web.config import PASSWORD_VARIABLE as WEB_VARIABLE

Keys = tuple[str | int, ...]
COMMAND_LINE, FILE, DEFAULT, BUNDLE, KEPT = "command line", "file", "default", "bundle", "persistent settings"
VARIABLES: Mapping[Keys, str] = {
    ("mqtt", "username"): USERNAME_VARIABLE,
    ("mqtt", "password"): PASSWORD_VARIABLE,
    ("web", "password"): WEB_VARIABLE,
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting with its origin."""

    path: Keys
    """Keys and list indexes that lead to it."""
    value: Any
    """The effective value, `removed` for a secret; None where there is none."""
    origin: str
    """`default`, `file`, `command line`, `bundle`, `persistent settings`, or a variable of the environment, whose value
    may also be a credential of systemd."""


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The same settings at each stage, before the next one overrides them."""

    in_file: Mapping[str, Any]
    """The decoded TOML; empty without a file."""
    of_file: ListenConfig
    of_command_line: ListenConfig
    of_environment: ListenConfig
    node: str
    persistent_state: PersistentState


def effective_settings(layers: Layers) -> list[Setting]:
    """Return every setting, the top of the file first, then table by table; secrets are hidden."""
    effective, kept = layers.of_environment, _kept(layers)
    vote, found = load_bundle(effective.bundle_path).manifest.vote, list[Setting]()
    for path, value in _leaves(shown_config(effective), ()):
        if path in kept:
            found.append(Setting(path=path, value=kept.pop(path), origin=KEPT))
        elif value is None and path[0] == "vote":
            found.append(Setting(path=path, value=getattr(vote, str(path[-1])), origin=BUNDLE))
        else:
            found.append(Setting(path=path, value=value, origin=_origin(path, layers)))
    for path, value in kept.items():  # beside the other keys of its table
        place = next(n for n, setting in enumerate(found) if setting.path[:-1] == path[:-1])
        found.insert(place, Setting(path=path, value=value, origin=KEPT))
    return sorted(found, key=lambda setting: len(setting.path) > 1)


def _kept(layers: Layers) -> dict[Keys, Any]:
    """Return what commands have set, and the id that was made at the first start; a level has no key of its own."""
    config = layers.of_environment
    kept: dict[Keys, Any] = {} if config.node else {("node",): layers.node}
    settings: Mapping[str, Mapping[str, Any]] = layers.persistent_state.get(SETTINGS_KEY, {})
    for number, source_id in enumerate(source_names(config)):
        for key, value in settings.get(source_id, {}).items():
            if key in config.mqtt.settable:
                table = () if key == "silence_dbfs" else ("vote",)
                kept["source", number, *table, key] = value
    return kept


def _leaves(value: Any, path: Keys) -> Iterator[tuple[Keys, Any]]:
    """Yield each value with its path; lists of tables are followed, other lists are values."""
    if isinstance(value, dict) and path[-1:] != ("headers",):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, item in enumerate(value):
            yield from _leaves(item, (*path, number))
    else:
        yield path, value


def _origin(path: Keys, layers: Layers) -> str:
    stages = [encode(stage) for stage in (layers.of_file, layers.of_command_line, layers.of_environment)]
    of_file, of_command_line, of_environment = (_at(stage, path) for stage in stages)
    if of_environment != of_command_line:
        return VARIABLES.get(path, "environment")
    if of_command_line != of_file:
        return COMMAND_LINE
    return FILE if _at(layers.in_file, path) is not _ABSENT else DEFAULT


_ABSENT = object()


def _at(value: Any, path: Keys) -> Any:
    """Return the value at a path of dicts and lists; `_ABSENT` where there is none."""
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value

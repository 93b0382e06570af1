"""All faults of a configuration file, not only the first, found without opening a source, a broker or a hook."""

import copy
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.decode import decode, read_toml
from genrewatch.contract.errors import GenrewatchError, require
from genrewatch.daemon.config import ListenConfig, load_config
from genrewatch.daemon.config_file.tables import table_type
from genrewatch.inference.pipeline import Pipeline, pipeline_of
from genrewatch.sinks.hooks.sink import check_hooks
from genrewatch.sinks.mqtt.config import NO_ADDRESS, tls_context
from genrewatch.sources.kinds import name_for_people, open_sources
from genrewatch.sources.uri import SourceConfig

Lines = list[str]
REQUIRED: Mapping[str, object] = {"uri": "demo:", "on": ["test"]}
"""Right values of the keys without a default, so that a table without one is checked further."""


def file_faults(path: Path) -> Lines:
    """Return a line for each fault of the file: where, what was found, what was expected."""
    try:
        data = read_toml(path)
        found = list(_decode_faults(data, str(path)))
        return found or config_faults(load_config(path), str(path))
    except GenrewatchError as exc:
        return [str(exc)]


def _decode_faults(data: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield the faults of the top of the file, and of each table of its lists by itself, and of each source's URI."""
    lists = {name: inner for name, hint in get_type_hints(ListenConfig).items() if (inner := _listed(hint))}
    several = {name: data[name] for name in lists if isinstance(data.get(name), list)}
    yield from _faults_of(ListenConfig, {key: value for key, value in data.items() if key not in several}, where, "")
    for name, items in several.items():
        for number, item in enumerate(items):
            path = f"{name}[{number}]"
            faults = list(_faults_of(lists[name], item, where, path))
            yield from faults or (_uri_faults(item, where, path) if name == "source" else [])


def _listed(hint: Any) -> type | None:
    inner, many = table_type(hint)
    return inner if many else None


def _faults_of(cls: type, data: object, where: str, path: str) -> Iterator[str]:
    """Yield the faults of one table: after each, its key is left out and the rest is decoded again."""
    rest, left_out = copy.deepcopy(data), set[str]()
    while True:
        try:
            decode(cls, rest, where=where, path=path)
            return
        except GenrewatchError as exc:
            if not left_out & set(re.findall(r"\w+", exc.found)):  # else it is due to what is left out
                yield str(exc)
            key = exc.where.removeprefix(f"{where}: ").removeprefix(path).lstrip(".")
            name = key.partition("[")[0]
            if name in left_out or not _leave_out(rest, name.split(".")):
                return
            left_out.add(name.rpartition(".")[2])


def _leave_out(data: Any, keys: Sequence[str]) -> bool:
    """Remove a key, given with the tables above it, or put a value that is right; return False where there is none."""
    for key in keys[:-1]:
        data = data.get(key) if isinstance(data, dict) else None
    if not isinstance(data, dict) or (keys[-1] not in data and keys[-1] not in REQUIRED):
        return False
    data.pop(keys[-1], None)
    data |= {key: value for key, value in REQUIRED.items() if key == keys[-1]}
    return True


def _uri_faults(item: Any, where: str, path: str) -> Lines:
    config = decode(SourceConfig, item, where=where, path=path)
    return _attempt(lambda: open_sources([_without_auto(config)], retry_start=True), f"{where}: {path}")


def _without_auto(config: SourceConfig) -> SourceConfig:
    """Return a source without a search for microphones."""
    return replace(config, uri="mic:") if config.uri == "auto" else config


def config_faults(config: ListenConfig, where: str) -> Lines:
    """Return what is wrong between the tables, with the bundle, with the environment and with files that are named."""
    checks: list[Callable[[], object]] = [
        lambda: source_names(config),
        lambda: _check_tls(config),
        lambda: config.web.with_environment(os.environ),
        lambda: check_hooks(config.hook, source_names(config)),
    ]
    found = [line for check in checks for line in _attempt(check, where)]
    return list(dict.fromkeys([*found, *_bundle_faults(config, where)]))


def source_names(config: ListenConfig) -> dict[str, str]:
    """Return the names for people by source id."""
    sources = config.source or (SourceConfig(uri="mic:"),)
    opened = open_sources([_without_auto(source) for source in sources], retry_start=True)
    return {source.id: name_for_people(wanted, source.id) for source, wanted in zip(opened, sources, strict=True)}


def _check_tls(config: ListenConfig) -> None:
    mqtt = config.mqtt.with_environment(os.environ)
    if mqtt.url not in NO_ADDRESS:
        tls_context(mqtt)


def _bundle_faults(config: ListenConfig, where: str) -> Lines:
    try:
        pipeline = pipeline_of(load_bundle(config.bundle_path), config.vote.apply, config.level)
    except GenrewatchError as exc:
        return [f"{where}: {exc}"]
    checks = [partial(_check_source, source, pipeline) for source in config.source]
    return [line for number, check in enumerate(checks) for line in _attempt(check, f"{where}: source[{number}]")]


def _check_source(source: SourceConfig, pipeline: Pipeline) -> None:
    replace(pipeline, vote=source.vote.apply(pipeline.vote))
    genres = pipeline.manifest.genres
    for genre in source.expected_genres:
        require(genre in genres, "expected_genres", repr(genre), "some of " + ", ".join(genres))


def _attempt(check: Callable[[], object], where: str) -> Lines:
    """Return the fault that a check raises, as a line."""
    try:
        check()
    except GenrewatchError as exc:
        return [f"{where}: {exc}"]
    return []

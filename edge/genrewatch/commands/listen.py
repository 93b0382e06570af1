"""`genrewatch listen`: the daemon, with defaults that work without a configuration."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from genrewatch.commands.effective_config import add_config_options, effective_config
from genrewatch.commands.listen_web import open_web, support
from genrewatch.commands.source_settings import announcement, expectations, hours_by_source
from genrewatch.contract.errors import ConfigError, require
from genrewatch.daemon.config import ListenConfig
from genrewatch.daemon.daemon import Daemon
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.history.database import database_path
from genrewatch.host.heap import limit_heap
from genrewatch.host.limits import raise_open_files
from genrewatch.host.line_writer import LineHandler, LineWriter
from genrewatch.host.node import held_node_id, state_directory
from genrewatch.host.orphans import adopt_orphans
from genrewatch.host.paths import expand_home
from genrewatch.host.persistent_state import PersistentState
from genrewatch.host.recent_lines import RecentLines
from genrewatch.inference.bundle_check import open_checked_pipeline
from genrewatch.inference.pipeline import Pipeline
from genrewatch.sinks.history import HistorySink
from genrewatch.sinks.hooks.sink import HookSink
from genrewatch.sinks.mqtt.broker import open_broker
from genrewatch.sinks.mqtt.sink import MqttSink
from genrewatch.sinks.printer import ChangePrinter, JsonPrinter, OutputHealth
from genrewatch.sinks.sink import Sink
from genrewatch.sources.kinds import name_for_people, open_sources, restarts
from genrewatch.sources.source import Source
from genrewatch.sources.uri import SourceConfig

log = logging.getLogger("genrewatch")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_config_options(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON line for each segment")


def run(args: argparse.Namespace) -> int:
    """Listen until stopped or until every source has ended."""
    mask = os.umask(0o077)  # what is kept on disk is for this user only
    stdout, stderr = LineWriter(sys.stdout, "stdout"), LineWriter(sys.stderr, "stderr")
    recent = RecentLines()
    logging.basicConfig(handlers=[LineHandler(stderr), recent], level=logging.INFO, format="genrewatch: %(message)s")
    raise_open_files()
    limit_heap()
    adopt_orphans()
    try:
        return _listen(args, stdout, stderr, recent)
    finally:
        stdout.close()
        stderr.close()
        os.umask(mask)


def _listen(args: argparse.Namespace, stdout: LineWriter, stderr: LineWriter, recent: RecentLines) -> int:
    config = effective_config(args)
    pipeline = _open_pipeline(config, args.config)
    setups = _open_inputs(config, pipeline, args.config)
    manifest, directory = pipeline.manifest, state_directory()
    with ExitStack() as stack:
        node = stack.enter_context(held_node_id(directory, config.node))
        persistent_state = PersistentState(directory / f"memory-{node}.json")
        stack.callback(persistent_state.close)
        mqtt = _open_mqtt(config, stack, node, setups, persistent_state)
        printer = JsonPrinter(stdout) if args.json else ChangePrinter(stdout)
        sinks = [printer, OutputHealth(stdout, stderr), *_open_sinks(config, args, node, setups, mqtt)]
        web = open_web(config, node, setups, persistent_state, support(args, config, recent))
        if web:
            sinks.insert(2, web)
        sources = ", ".join(setup.source.id for setup in setups)
        log.info("bundle %s %s, sources: %s", manifest.name, manifest.version, sources)
        daemon = Daemon(
            setups,
            sinks,
            health_s=config.health_s,
            heartbeat_s=config.mqtt.heartbeat_s,
            persistent_state=persistent_state,
            open_bundle=partial(_open_another, config, setups),
            settable=config.mqtt.settable,
            listening_hours=hours_by_source(config, setups, "listening_hours"),
        )
        stdout.on_broken_pipe = daemon.on_broken_pipe
        if mqtt:
            mqtt.set_command_handler(daemon)
            mqtt.start()
        if web:
            web.set_control(daemon)
        daemon.stop_on_signals()
        return daemon.run()


def _open_mqtt(
    config: ListenConfig, stack: ExitStack, node: str, setups: Sequence[SourceSetup], persistent_state: PersistentState
) -> MqttSink | None:
    """Return the sink for the configured broker, not yet started; the broker is found or started first."""
    if config.mqtt.url == "none":
        return None
    settings = config.mqtt.with_environment(os.environ)
    broker = stack.enter_context(open_broker(settings.url, username=settings.username, password=settings.password))
    log.info("%s; watch: %s", broker.description, broker.watch(settings, node))
    return MqttSink(
        broker.apply(settings),
        node,
        setups[0].pipeline.manifest,
        names=_names(setups),
        persistent_state=persistent_state,
        health_s=config.health_s,
        announcement=announcement(config, setups),
        expectations=expectations(config, setups),
    )


def _open_sinks(
    config: ListenConfig, args: argparse.Namespace, node: str, setups: Sequence[SourceSetup], mqtt: MqttSink | None
) -> list[Sink]:
    """Return the sinks of history, hooks and MQTT, in the order in which they are notified."""
    sinks: list[Sink] = []
    if config.history.enabled:
        path = database_path(state_directory(), node)
        transport = mqtt.history if mqtt and config.mqtt.history else None
        history = HistorySink(path, node, config.history, names=_names(setups), transport=transport)
        if mqtt:
            mqtt.history.on_change = history.wake
        history.start()
        log.info("history in %s; to print it: genrewatch history --node %s", path, node)
        sinks.append(history)
    if config.hook:
        try:
            sinks.append(
                HookSink(
                    config.hook,
                    node=node,
                    names=_names(setups),
                    expectations=expectations(config, setups),
                    quiet_hours=hours_by_source(config, setups, "quiet_hours"),
                )
            )
        except ConfigError as exc:
            where = f"{args.config}: {exc.where}" if args.config else exc.where
            raise ConfigError(where, exc.found, exc.expected) from None
    return [*sinks, mqtt] if mqtt else sinks


def _names(setups: Sequence[SourceSetup]) -> dict[str, str]:
    return {setup.source.id: setup.name for setup in setups}


def _open_another(config: ListenConfig, setups: Sequence[SourceSetup], name: str) -> dict[str, Pipeline]:
    """Return each source's pipeline with a bundle of the configured directory; raises GenrewatchError."""
    require(config.mqtt.bundles is not None, "bundle/set", name, "mqtt.bundles in the configuration, a directory")
    pipeline_of_bundle = open_checked_pipeline(
        expand_home(config.mqtt.bundles or "") / name, config.vote.apply, config.level
    )
    pipelines = {}
    for setup, wanted in zip(setups, config.source, strict=True):
        pipelines[setup.source.id] = replace(pipeline_of_bundle, vote=wanted.vote.apply(pipeline_of_bundle.vote))
    return pipelines


def _open_pipeline(config: ListenConfig, file: Path | None) -> Pipeline:
    try:
        return open_checked_pipeline(config.bundle_path, config.vote.apply, config.level)
    except ConfigError as exc:  # whether [vote] of the file is possible depends on the bundle
        raise ConfigError(f"{file}: {exc.where}" if file else exc.where, exc.found, exc.expected) from None


def _open_inputs(config: ListenConfig, pipeline: Pipeline, file: Path | None) -> list[SourceSetup]:
    """Return each source with its pipeline; those of a file, or of several, may be absent at first."""
    sources = open_sources(config.source, retry_start=file is not None or len(config.source) > 1)
    setups = []
    for number, (source, wanted) in enumerate(zip(sources, config.source, strict=True)):
        try:
            adjusted = replace(pipeline, vote=wanted.vote.apply(pipeline.vote))
            for genre in wanted.expected_genres:
                genres = pipeline.manifest.genres
                require(genre in genres, "expected_genres", repr(genre), "some of " + ", ".join(genres))
            name, reopen = name_for_people(wanted, source.id), partial(_reopen, replace(wanted, id=source.id))
            setups.append(
                SourceSetup(source=source, pipeline=adjusted, name=name, reopen=reopen, restarts=restarts(wanted))
            )
        except ConfigError as exc:
            where = f"source[{number}].{exc.where}"
            raise ConfigError(f"{file}: {where}" if file else where, exc.found, exc.expected) from None
    return setups


def _reopen(config: SourceConfig) -> Source:
    """Open a source again; its device may be absent at first."""
    return open_sources([config], retry_start=True)[0]

"""`genrewatch listen`: the daemon, with defaults that always do something real."""

import argparse
import logging
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from edge.broker import open_broker
from edge.config import ListenConfig, load_config
from edge.contract.errors import ConfigError, require
from edge.contract.ids import ID_CHARACTERS, is_id
from edge.daemon import Daemon, Input
from edge.node import held_node_id, state_directory
from edge.pipeline import Listener, open_listener
from edge.sinks.mqtt import MqttSink
from edge.sinks.printer import ChangePrinter, JsonPrinter
from edge.sinks.sink import Sink
from edge.sources import SourceConfig, name_for_people, open_sources


def listen(parsed: argparse.Namespace) -> int:
    """Listens until stopped or until every source has ended."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="genrewatch: %(message)s")
    config = effective_config(parsed)
    listener = _open_listener(config, parsed.config)
    inputs = _open_inputs(config, listener, parsed.config)
    manifest = listener.manifest
    with ExitStack() as opened:
        sinks: list[Sink] = [JsonPrinter() if parsed.json else ChangePrinter()]
        if config.mqtt.url != "none":
            node = config.node or opened.enter_context(held_node_id(state_directory()))
            settings = config.mqtt.with_environment(os.environ)
            broker = opened.enter_context(
                open_broker(settings.url, username=settings.username, password=settings.password)
            )
            mqtt = MqttSink(
                broker.apply(settings),
                node=node,
                labels=manifest.labels,
                model_name=manifest.name,
                model_version=manifest.version,
                names={heard.source.id: heard.name for heard in inputs},
            )
            mqtt.start()
            sinks.append(mqtt)
            _say(f"{broker.sentence}; watch: {broker.watch(config.mqtt.base, node)}")
        _say(f"bundle {manifest.name} {manifest.version}, sources: {', '.join(heard.source.id for heard in inputs)}")
        daemon = Daemon(inputs, sinks, health_s=config.health_s, heartbeat_s=config.mqtt.heartbeat_s)
        daemon.stop_on_signals()
        return daemon.run()


def _open_listener(config: ListenConfig, file: Path | None) -> Listener:
    try:
        return open_listener(config.bundle_path, config.vote.apply, config.level)
    except ConfigError as wrong:  # only the bundle shows whether the file's [vote] is possible
        raise ConfigError(f"{file}: {wrong.where}" if file else wrong.where, wrong.found, wrong.expected) from None


def _open_inputs(config: ListenConfig, listener: Listener, file: Path | None) -> list[Input]:
    """Each source with the vote that it is to hold; those of a file, or of several, may be absent at first."""
    sources = open_sources(config.source, patient=file is not None or len(config.source) > 1)
    inputs = []
    for number, (source, wanted) in enumerate(zip(sources, config.source, strict=True)):
        try:
            vote = wanted.vote.apply(listener.vote)
            inputs.append(
                Input(source=source, listener=replace(listener, vote=vote), name=name_for_people(wanted, source.id))
            )
        except ConfigError as wrong:
            where = f"source[{number}].{wrong.where}"
            raise ConfigError(f"{file}: {where}" if file else where, wrong.found, wrong.expected) from None
    return inputs


def effective_config(parsed: argparse.Namespace) -> ListenConfig:
    """The file's settings with the command line's in their place."""
    config = load_config(parsed.config)
    if parsed.source:
        config = replace(config, source=tuple(SourceConfig(uri=uri) for uri in parsed.source))
    if not config.source:
        config = replace(config, source=(SourceConfig(uri="auto"),))
    if parsed.bundle:
        config = replace(config, bundle=parsed.bundle)
    if parsed.mqtt:
        config = replace(config, mqtt=replace(config.mqtt, url=parsed.mqtt))
    if parsed.node is not None:
        require(is_id(parsed.node), "--node", repr(parsed.node), ID_CHARACTERS)
        config = replace(config, node=parsed.node)
    return config


def _say(text: str) -> None:
    print(f"genrewatch: {text}", file=sys.stderr, flush=True)

"""The sinks of `genrewatch listen`: MQTT, history and hooks; the page has a module of its own."""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from genrewatch.commands.listen_inputs import names
from genrewatch.commands.source_settings import announcement, expectations, hours_by_source
from genrewatch.contract.errors import ConfigError
from genrewatch.daemon.config import ListenConfig
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.history.database import database_path
from genrewatch.host.node import state_directory
from genrewatch.host.persistent_state import PersistentState
from genrewatch.sinks.history import HistorySink
from genrewatch.sinks.hooks.config import HookConfig
from genrewatch.sinks.hooks.sink import HookSink, check_hooks
from genrewatch.sinks.mqtt.broker import OpenBroker, open_broker
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.sink import MqttSink

log = logging.getLogger("genrewatch")


class Broker:
    """The broker that the daemon publishes to: found or started once for a setting of `mqtt.url`."""

    def __init__(self, stack: ExitStack, node: str) -> None:
        """`stack` closes what is started."""
        self._stack, self._node = stack, node
        self._url: str | None = None
        self._open: OpenBroker | None = None

    def settings(self, config: ListenConfig) -> MqttConfig | None:
        """Return the settings with the broker's address and the login; None for `none`. Raises ConfigError."""
        if config.mqtt.url == "none":
            return None
        settings = config.mqtt.with_environment(os.environ)
        if self._open is None or self._url != settings.url:
            opened = open_broker(settings.url, username=settings.username, password=settings.password)
            self._open, self._url = self._stack.enter_context(opened), settings.url
            log.info("%s; watch: %s", self._open.description, self._open.watch(settings, self._node))
        return self._open.apply(settings)


def open_mqtt(
    settings: MqttConfig | None,
    config: ListenConfig,
    node: str,
    setups: Sequence[SourceSetup],
    persistent_state: PersistentState,
) -> MqttSink | None:
    """Return the sink for a broker, not yet started; raises ConfigError for settings that cannot work."""
    if settings is None:
        return None
    return MqttSink(
        settings,
        node,
        setups[0].pipeline.manifest,
        names=names(setups),
        persistent_state=persistent_state,
        health_s=config.health_s,
        announcement=announcement(config, setups),
        expectations=expectations(config, setups),
    )


def open_history(
    config: ListenConfig, node: str, setups: Sequence[SourceSetup], mqtt: MqttSink | None
) -> HistorySink | None:
    """Return the sink of the history, which has started; None where it is disabled."""
    if not config.history.enabled:
        return None
    path = database_path(state_directory(), node)
    history = HistorySink(path, node, config.history, names=names(setups))
    connect_history(history, mqtt, config)
    history.start()
    log.info("history in %s; to print it: genrewatch history --node %s", path, node)
    return history


def connect_history(history: HistorySink | None, mqtt: MqttSink | None, config: ListenConfig) -> None:
    """Deliver the history over a connection, if there are both and the configuration wants it."""
    if history:
        history.set_transport(mqtt.history if mqtt and config.mqtt.history else None)
        if mqtt:
            mqtt.history.on_change = history.wake


def open_hooks(config: ListenConfig, file: Path | None, node: str, setups: Sequence[SourceSetup]) -> HookSink:
    """Return the sink of the hooks, of which there may be none; raises ConfigError for one that cannot work."""
    check_configured_hooks(config.hook, names(setups), file)
    return HookSink(
        config.hook,
        node=node,
        names=names(setups),
        expectations=expectations(config, setups),
        quiet_hours=hours_by_source(config, setups, "quiet_hours"),
    )


def check_configured_hooks(hooks: Sequence[HookConfig], source_names: Mapping[str, str], file: Path | None) -> None:
    """Raise ConfigError that names the file for a hook that cannot work."""
    try:
        check_hooks(hooks, source_names)
    except ConfigError as exc:
        raise ConfigError(f"{file}: {exc.where}" if file else exc.where, exc.found, exc.expected) from None

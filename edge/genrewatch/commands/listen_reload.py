"""The reload of `genrewatch listen`: which sources, settings and sinks a changed configuration replaces."""

import argparse
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from genrewatch.commands.effective_config import effective_config
from genrewatch.commands.listen_bundle import open_named
from genrewatch.commands.listen_inputs import (
    names,
    open_configured_bundle,
    open_inputs,
    pipeline_of_source,
)
from genrewatch.commands.listen_sinks import Broker, check_configured_hooks, connect_history, open_mqtt
from genrewatch.commands.source_settings import hours_by_source, source_infos
from genrewatch.daemon.config import ListenConfig
from genrewatch.daemon.daemon import Daemon
from genrewatch.daemon.reload import Reconfiguration, ReloadResult
from genrewatch.daemon.sink_group import SinkGroup
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import Pipeline
from genrewatch.sinks.history import HistorySink
from genrewatch.sinks.hooks.sink import HookSink
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.sink import MqttSink
from genrewatch.sources.uri import SourceConfig

AT_THE_START = ("node", "history", "web")
"""Keys that take effect at the start of the daemon only."""

log = logging.getLogger("genrewatch")


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A changed configuration with its parts that are ready to be used."""

    config: ListenConfig
    setups: list[SourceSetup]
    kept: list[str]
    pipelines: dict[str, Pipeline]
    """New pipelines of sources that are kept."""
    settings: MqttConfig | None
    mqtt: MqttSink | None
    """The sink of changed settings of MQTT, else the present one."""
    needs_restart: list[str]


class RunningConfiguration:
    """The configuration that the daemon runs with, and the parts that a reload replaces."""

    def __init__(
        self,
        args: argparse.Namespace,
        config: ListenConfig,
        setups: list[SourceSetup],
        *,
        node: str,
        broker: Broker,
        settings: MqttConfig | None,
        mqtt: MqttSink | None,
        history: HistorySink | None,
        hooks: HookSink,
        persistent_state: PersistentState,
    ) -> None:
        """Hold the configuration; `settings` are those of `mqtt`, with the broker's address and the login."""
        self._args, self.config, self.setups = args, config, setups
        self._node, self._broker, self._persistent_state = node, broker, persistent_state
        self._settings, self._mqtt, self._history, self._hooks = settings, mqtt, history, hooks

    def open_bundle(self, name: str) -> dict[str, Pipeline]:
        """Return each source's pipeline with the bundle of a name; raises GenrewatchError."""
        opened, pairs = open_named(self.config, name), zip(self.setups, self.config.source, strict=True)
        return {setup.source.id: pipeline_of_source(opened, wanted) for setup, wanted in pairs}

    def prepare_reload(self, daemon: Daemon) -> Callable[[], ReloadResult]:
        """Read the configuration; return what makes the change, or raise GenrewatchError, and nothing is changed."""
        before, wanted = self.config, effective_config(self._args)
        needs_restart = [key for key in AT_THE_START if getattr(wanted, key) != getattr(before, key)]
        config = replace(wanted, **{key: getattr(before, key) for key in needs_restart})
        opened = config.bundle_path != before.bundle_path
        pipeline = self._pipeline(config, daemon, opened=opened)
        setups = open_inputs(config, pipeline, self._args.config, retry_start=True)
        check_configured_hooks(config.hook, names(setups), self._args.config)
        kept = self._kept(config, setups)
        settings = self._broker.settings(config)
        same_link = (settings, config.health_s) == (self._settings, before.health_s)
        changed = Changed(
            config=config,
            setups=self._with_present_sources(setups, kept),
            kept=list(kept),
            pipelines=self._new_pipelines(config, setups, kept, opened=opened),
            settings=settings,
            mqtt=self._mqtt if same_link else open_mqtt(settings, config, self._node, setups, self._persistent_state),
            needs_restart=needs_restart,
        )
        return partial(self._use, changed, daemon)

    def _pipeline(self, config: ListenConfig, daemon: Daemon, *, opened: bool) -> Pipeline:
        """Return the pipeline of a bundle that the file newly names, else of the present one, with the settings."""
        if opened:
            return open_configured_bundle(config, self._args.config)
        present = daemon.present_pipeline
        return replace(present, vote=config.vote.apply(present.manifest.vote), level=config.level)

    def _kept(self, config: ListenConfig, setups: list[SourceSetup]) -> dict[str, SourceConfig]:
        """Return the present settings of the sources that go on, by id."""
        before = dict(zip(names(self.setups), self.config.source, strict=True))
        wanted = dict(zip(names(setups), config.source, strict=True))
        return {key: before[key] for key in wanted if key in before and _opening(before[key]) == _opening(wanted[key])}

    def _with_present_sources(self, setups: list[SourceSetup], kept: Mapping[str, object]) -> list[SourceSetup]:
        present = {setup.source.id: setup.source for setup in self.setups}
        return [
            replace(setup, source=present[setup.source.id]) if setup.source.id in kept else setup for setup in setups
        ]

    def _new_pipelines(
        self, config: ListenConfig, setups: list[SourceSetup], kept: Mapping[str, SourceConfig], *, opened: bool
    ) -> dict[str, Pipeline]:
        same = not opened and (config.vote, config.level) == (self.config.vote, self.config.level)
        return {
            setup.source.id: setup.pipeline
            for setup, wanted in zip(setups, config.source, strict=True)
            if setup.source.id in kept and not (same and kept[setup.source.id].vote == wanted.vote)
        }

    def _use(self, new: Changed, daemon: Daemon) -> ReloadResult:
        """Use a changed configuration, in the main thread."""
        lines = self._described(new)
        before = self.config
        self.config, self.setups = new.config, new.setups
        daemon.reconfigure(
            Reconfiguration(
                setups=new.setups,
                kept=new.kept,
                pipelines=new.pipelines,
                sources=source_infos(new.config, new.setups),
                listening_hours=hours_by_source(new.config, new.setups, "listening_hours"),
                settable=new.config.mqtt.settable,
                health_s=new.config.health_s,
                heartbeat_s=new.config.mqtt.heartbeat_s,
                change_sinks=lambda sinks: self._change_sinks(sinks, new, before, daemon),
            )
        )
        return ReloadResult(changes=lines, needs_restart=new.needs_restart)

    def _change_sinks(self, sinks: SinkGroup, new: Changed, before: ListenConfig, daemon: Daemon) -> None:
        if new.config.hook != before.hook:
            self._hooks.set_hooks(new.config.hook)
        old, self._mqtt, self._settings = self._mqtt, new.mqtt, new.settings
        if new.mqtt is old:
            return
        if new.mqtt:
            new.mqtt.set_command_handler(daemon)
        if new.mqtt and old:
            new.mqtt.take_over(old)
        connect_history(self._history, new.mqtt, new.config)
        sinks.replace(old, new.mqtt)
        threading.Thread(target=_switch, args=(old, new.mqtt), name="mqtt", daemon=True).start()

    def _described(self, new: Changed) -> list[str]:
        """Return what changes, for people."""
        before, wanted = list(names(self.setups)), list(names(new.setups))
        added = [key for key in wanted if key not in before]
        opened = [key for key in wanted if key in before and key not in new.kept]
        gone = [key for key in before if key not in wanted]
        parts = [("new", added), ("opened again", opened), ("removed", gone), ("other vote or level", new.pipelines)]
        lines = [f"sources, {what}: {', '.join(ids)}" for what, ids in parts if ids]
        if new.config.hook != self.config.hook:
            lines.append("hooks")
        if new.mqtt is not self._mqtt:
            lines.append("mqtt, connects again" if new.mqtt else "mqtt, disconnects")
        others = [key for key in ("source", "health_s") if getattr(new.config, key) != getattr(self.config, key)]
        return lines or [f"settings of {key}" for key in others]


def _switch(old: MqttSink | None, new: MqttSink | None) -> None:
    """Close one sink, then start the other, in a thread: a broker that does not answer delays this by seconds."""
    if new and old:
        new.start_after(old)
    elif new:
        new.start()
    elif old:
        old.close()


def _opening(config: SourceConfig) -> tuple[object, ...]:
    """Return the settings that a source is opened with: where they change, it is opened again."""
    return config.uri, config.stall_s, config.first_sound_s

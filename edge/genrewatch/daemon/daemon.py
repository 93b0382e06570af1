"""The daemon: runs sources and sinks, publishes health, carries out commands, and ends cleanly."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from genrewatch.daemon.background_changes import BackgroundChanges
from genrewatch.daemon.bundle_switch import BundleSwitch, OpenBundle
from genrewatch.daemon.bundle_watch import BundleWatch
from genrewatch.daemon.command_queue import CommandQueue
from genrewatch.daemon.health import Health
from genrewatch.daemon.kept_drift import KeptDrift
from genrewatch.daemon.listening_hours import ListeningHours
from genrewatch.daemon.narrow_bands import NarrowBands
from genrewatch.daemon.reload import Prepare, Reconfiguration, Reload, ReloadResult
from genrewatch.daemon.service_report import ServiceReport
from genrewatch.daemon.signals import handle_signals
from genrewatch.daemon.sink_group import SinkGroup
from genrewatch.daemon.source_runner import SourceRunner
from genrewatch.daemon.source_settings import SourceSettings
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.daemon.watchdog import Watchdog
from genrewatch.host.defects import DefectLog, last_resort
from genrewatch.host.persistent_state import PersistentState
from genrewatch.host.progress import Progress
from genrewatch.host.service_manager import ServiceManager
from genrewatch.inference.pipeline import Pipeline
from genrewatch.inference.settings import Value
from genrewatch.sinks.sink import Sink

log = logging.getLogger("genrewatch")


class Daemon:
    """Listens to several sources until they end or it is stopped; implements `CommandHandler` of the MQTT sink."""

    def __init__(
        self,
        setups: Sequence[SourceSetup],
        sinks: Sequence[Sink],
        *,
        health_s: float,
        heartbeat_s: float,
        persistent_state: PersistentState | None = None,
        open_bundle: OpenBundle | None = None,
        listening_hours: Mapping[str, Sequence[str]] | None = None,
        settable: Sequence[str] = (),
        service_manager: ServiceManager | None = None,
        chosen_bundle: Callable[[], str] | None = None,
    ) -> None:
        """`persistent_state` holds which sources are switched off; `open_bundle` returns each source's pipeline with
        another bundle, and raises GenrewatchError for a bundle that cannot be used; `listening_hours` are those of each
        source that has any, `settable` the settings that commands may change."""
        persistent_state = persistent_state or PersistentState(None)
        self._hours = ListeningHours(listening_hours or {}, persistent_state)
        self._health_s, self._heartbeat_s = health_s, heartbeat_s
        self._stop, self._commands = threading.Event(), CommandQueue()
        self._crash: BaseException | None = None
        self._sinks = SinkGroup(sinks)
        self._settings = SourceSettings(settable, persistent_state)
        self._sources = SourceRunner(
            [replace(setup, pipeline=self._settings.apply(setup.source.id, setup.pipeline)) for setup in setups],
            self._sinks,
            persistent_state,
            on_all_ended=self.stop,
            on_crash=self.on_crash,
        )
        self._bands = NarrowBands(lambda: self._sources.states, persistent_state)
        self._drift = KeptDrift(lambda: self._sources.states, persistent_state)
        self._changes = BackgroundChanges(self._commands.put_result)
        self._bundle = BundleSwitch(open_bundle or (lambda name: {}), self._use_pipelines, self._changes)
        self._reload: Reload | None = None
        self._bundle_watch = BundleWatch(chosen_bundle, self.set_bundle) if chosen_bundle else None
        self._progress, self._defects = Progress("main loop"), DefectLog("main loop")
        self._watchdog = Watchdog(self._progress, self._notify_health)
        self._health = Health(lambda: self._sources.states, self._sinks, self._own_problems)
        self._health.refused_bundle = lambda: self._bundle.refused
        self._report = ServiceReport(service_manager or ServiceManager({}), lambda: self._sources.states, self._sinks)

    def run(self) -> int:
        """Listen; return 0, 1 after a defect that could not be contained, or 2 when no source could be opened."""
        hook, threading.excepthook = threading.excepthook, last_resort(self.on_crash)
        try:
            self._watchdog.start()
            self._listen()
        except Exception as exc:
            self.on_crash(exc)
        finally:
            self._close()
            threading.excepthook = hook
        if isinstance(self._crash, BrokenPipeError):
            raise self._crash
        return 1 if self._crash else 2 if self._sources.all_failed else 0

    def _listen(self) -> None:
        for source_id in self._sources.states:
            self._notify_settings(source_id)
        self._hours.prepare()
        if self._bundle_watch:
            self._bundle_watch.start()  # before the sources, which may use up all threads
        self._sources.start()
        next_health = time.monotonic()
        while not self._stop.is_set():
            with self._progress.working():
                if time.monotonic() >= next_health:
                    next_health = max(next_health + self._health_s, time.monotonic())
                    self._notify_health()
                with self._defects.guarded():
                    self._hours.apply(self._sources)
                self._sources.start_waiting()
                self._sources.notify_stalled()
                with self._defects.guarded():
                    self._bands.keep()
                    self._drift.keep()
            self._report.tick()
            pause_s = min(self._heartbeat_s, self._report.interval_s, max(0.0, next_health - time.monotonic()))
            command = self._commands.take(pause_s)
            if command:
                with self._progress.working(), self._defects.guarded():
                    command()

    def _close(self) -> None:
        self._stop.set()
        self._report.stopping()
        self._sources.stop()
        if self._bundle_watch:
            self._bundle_watch.close()
        for close in (
            self._sources.close,
            self._bands.keep,
            self._drift.keep_all,
            self._notify_health,
            self._sinks.close,
            self._watchdog.close,
        ):
            with self._defects.guarded():
                close()

    def stop(self) -> None:
        """Make `run` return soon, from any thread or signal handler."""
        self._stop.set()
        self._sources.stop()
        self._commands.wake()

    def stop_on_signals(self) -> None:
        """Stop on SIGTERM and SIGINT; reload on SIGHUP, where `reload_with` was called."""
        handle_signals(self.stop, self.reload if self._reload else self.stop)

    def reload_with(self, prepare: Prepare, on_result: Callable[[ReloadResult], None]) -> None:
        """Take reloads from now on, see `Reload`."""
        self._reload = Reload(prepare, self._changes, on_result)

    def reload(self) -> None:
        """Reload the configuration soon, from any thread or signal handler."""
        self._commands.put(lambda: self._reload.request() if self._reload else None)

    def reconfigure(self, new: Reconfiguration) -> None:
        """Use a changed configuration, in the main thread; sources that are kept notice nothing of it."""
        self._settings.allow(new.settable)
        self._sources.replace(
            [replace(setup, pipeline=self._settings.apply(setup.source.id, setup.pipeline)) for setup in new.setups],
            new.kept,
        )
        self._health_s, self._heartbeat_s = new.health_s, new.heartbeat_s
        self._sinks.notify(lambda sink: sink.on_sources(new.sources))
        new.change_sinks(self._sinks)
        self._use_pipelines(new.pipelines)
        for source_id in self._sources.states:
            self._notify_settings(source_id)
        self._hours.change(new.listening_hours)
        self._hours.prepare(new.added)
        self._sources.start(new.added)
        self._sources.end_if_all_ended()
        self._notify_health()

    @property
    def present_pipeline(self) -> Pipeline:
        """The pipeline of one of the sources, with the bundle that all use."""
        return next(iter(self._sources.states.values())).pipeline

    def health(self) -> dict[str, Any]:
        """Return the diagnostics of the node."""
        return self._health.collect()

    def set_listening(self, source_id: str, on: bool) -> None:
        """See `CommandHandler`."""
        self._commands.put(lambda: self._sources.set_listening(source_id, on))

    def set_bundle(self, name: str) -> None:
        """See `CommandHandler`."""
        self._commands.put(lambda: self._bundle.request(name))

    def set_setting(self, source_id: str, key: str, value: Value) -> None:
        """See `CommandHandler`."""
        self._commands.put(lambda: self._set_setting(source_id, key, value))

    def correct(self, source_id: str, seq: int | None, label: str | None) -> None:
        """See `CommandHandler`."""
        self._commands.put(lambda: self._sinks.notify(lambda sink: sink.on_correction(source_id, seq, label)))

    def publish_test_event(self, source_id: str) -> None:
        """Send an event `test` of a source to broker, hooks and viewers."""
        self._commands.put(lambda: self._sinks.notify(lambda sink: sink.on_test_event(source_id)))

    def publish_health(self) -> None:
        """See `CommandHandler`."""
        self._commands.put(self._notify_health)

    def on_broken_pipe(self, exc: BrokenPipeError) -> None:
        """End the daemon, from any thread, when the reader of its output has exited, as `| head` expects."""
        self._crash = self._crash or exc
        self.stop()

    def on_crash(self, exc: BaseException) -> None:
        """End the daemon, from any thread, because of a defect that cannot be contained; the service restarts it."""
        if self._crash is None:
            log.critical("a defect ends genrewatch", exc_info=exc)
            self._crash = exc
        self.stop()

    def _set_setting(self, source_id: str, key: str, value: Value) -> None:
        pipeline = self._sources.states[source_id].pipeline
        self._sources.set_pipelines({source_id: self._settings.change(source_id, key, value, pipeline)})
        self._notify_settings(source_id)

    def _use_pipelines(self, pipelines: Mapping[str, Pipeline]) -> None:
        """Use the pipelines of another bundle, with the changed settings."""
        self._sources.set_pipelines(
            {name: self._settings.apply(name, pipeline) for name, pipeline in pipelines.items()}
        )
        for source_id in pipelines:
            self._notify_settings(source_id)

    def _notify_settings(self, source_id: str) -> None:
        shown = self._settings.shown(self._sources.states[source_id].pipeline)
        self._sinks.notify(lambda sink: sink.on_settings(source_id, shown))

    def _notify_health(self) -> None:
        with self._defects.guarded():
            health = self.health()
            self._sinks.notify(lambda sink: sink.on_health(health))
            self._report.status(health)

    def _own_problems(self) -> list[str]:
        parts = (self._progress, self._watchdog.thread, self._defects, self._bundle.defects)
        reload = (self._reload, self._reload.defects) if self._reload else ()
        watch = (self._bundle_watch.thread,) if self._bundle_watch else ()
        return [problem for part in (*parts, *reload, *watch) if (problem := part.problem)]

"""The daemon: runs sources and sinks, publishes health, carries out commands, and ends cleanly."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

from genrewatch.contract.errors import GenrewatchError
from genrewatch.daemon.command_queue import CommandQueue
from genrewatch.daemon.health import Health
from genrewatch.daemon.sink_group import SinkGroup
from genrewatch.daemon.source_runner import SourceRunner
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import Pipeline
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
        open_bundle: Callable[[str], Mapping[str, Pipeline]] | None = None,
    ) -> None:
        """`persistent_state` holds which sources are switched off; `open_bundle` returns each source's pipeline with
        another bundle, and raises GenrewatchError for a bundle that cannot be used."""
        self._health_s, self._heartbeat_s, self._open_bundle = health_s, heartbeat_s, open_bundle
        self._stop, self._commands = threading.Event(), CommandQueue()
        self._crash: BaseException | None = None
        self._sinks = SinkGroup(sinks, self.on_broken_pipe)
        self._sources = SourceRunner(
            setups,
            self._sinks,
            persistent_state or PersistentState(None),
            on_all_ended=self.stop,
            on_crash=self._on_crash,
        )
        self._health = Health(self._sources.states, self._sinks)

    def run(self) -> int:
        """Listen; return 0, or 2 when no source could be opened. Unforeseen exceptions are raised."""
        self._sources.start()
        next_health = time.monotonic()
        while not self._stop.is_set():
            if time.monotonic() >= next_health:
                next_health += self._health_s
                self._notify_health()
            self._sources.notify_stalled()
            self._commands.run_next(min(self._heartbeat_s, max(0.0, next_health - time.monotonic())))
        self._sources.close()
        self._notify_health()
        self._sinks.close()
        if self._crash:
            raise self._crash
        return 2 if self._sources.all_failed else 0

    def stop(self) -> None:
        """Make `run` return soon, from any thread or signal handler."""
        self._stop.set()
        self._sources.stop()
        self._commands.wake()

    def stop_on_signals(self) -> None:
        """Stop on SIGTERM, SIGINT and, unless it is ignored, SIGHUP."""

        def handler(number: int, frame: FrameType | None) -> None:
            self.stop()

        signal.signal(signal.SIGTERM, handler)
        signal.signal(signal.SIGINT, handler)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            signal.signal(signal.SIGHUP, handler)

    def health(self) -> dict[str, Any]:
        """Return the diagnostics of the node."""
        return self._health.collect()

    def set_listening(self, source_id: str, on: bool) -> None:
        """See `CommandHandler`."""
        self._commands.put(lambda: self._sources.set_listening(source_id, on))

    def set_bundle(self, name: str) -> None:
        """See `CommandHandler`."""
        self._commands.put(lambda: self._set_bundle(name))

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

    def _notify_health(self) -> None:
        self._sinks.notify(lambda sink: sink.on_health(self.health()))

    def _on_crash(self, exc: BaseException) -> None:
        self._crash = exc
        self.stop()

    def _set_bundle(self, name: str) -> None:
        """Use another bundle from the next segment on; one that cannot be used changes nothing."""
        try:
            pipelines = self._open_bundle(name) if self._open_bundle else {}
        except GenrewatchError as exc:
            self._health.refused_bundle = str(exc)
            log.error("bundle %s is refused, the current one stays: %s", name, exc)
            return
        self._health.refused_bundle = None
        self._sources.set_pipelines(pipelines)
        log.info("using bundle %s", name)

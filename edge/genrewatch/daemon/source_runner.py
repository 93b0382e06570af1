"""Runs the sources, each in a thread of its own: starts, switches, replaces and closes them."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from genrewatch.contract.errors import GenrewatchError, SourceError, os_error_reason
from genrewatch.daemon.parallel import call_all, join_all
from genrewatch.daemon.sink_group import SinkGroup
from genrewatch.daemon.source_listener import SWITCHED_OFF, SourceListener
from genrewatch.daemon.source_state import SourceSetup, SourceState
from genrewatch.host.guarded_thread import GuardedThread
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import Pipeline
from genrewatch.sources.source import NO_SOUND_YET, Source

CLOSE_S = 4.0
"""Longest time for a source, or for all of them at the end, to close."""
DISABLED_KEY = "off"
"""Key of the persistent state: ids of the sources that are switched off."""
NO_SOUND_YET_S = 5.0
"""Time after its start at which a source without its first sound is reported as offline."""

log = logging.getLogger("genrewatch")


class SourceRunner:
    """Starts, switches, replaces and closes sources; its methods are called in the main thread."""

    def __init__(
        self,
        setups: Sequence[SourceSetup],
        sinks: SinkGroup,
        persistent_state: PersistentState,
        *,
        on_all_ended: Callable[[], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        """`on_all_ended` is called when all sources have ended, `on_crash` with an unforeseen exception of a thread."""
        self._sinks, self._persistent_state = sinks, persistent_state
        self._on_all_ended, self._on_crash = on_all_ended, on_crash
        self._closing = threading.Event()
        self.states = {setup.source.id: SourceState.of(setup) for setup in setups}
        """State of each source by its id; replaced, never changed, so that other threads may iterate over it."""

    @property
    def all_failed(self) -> bool:
        """True if no source could be opened."""
        return all(state.failed for state in self.states.values())

    def start(self, source_ids: Collection[str] | None = None) -> None:
        """Start sources, default all, but those that were switched off when the daemon last ran."""
        disabled: list[str] = self._persistent_state.get(DISABLED_KEY, [])
        for source_id, state in self.states.items():
            if source_ids is not None and source_id not in source_ids:
                continue
            state.disabled = source_id in disabled
            self._notify_disabled(source_id, state.disabled)
            if state.disabled:
                state.offline_reason = SWITCHED_OFF
                log.info("%s is still switched off", source_id)
            else:
                self._start(state)

    def stop(self) -> None:
        """Report sources that end from now on as stopped; from any thread or signal handler."""
        self._closing.set()

    def close(self) -> None:
        """Close all sources at the same time, so that one that blocks does not delay the others."""
        _close(list(self.states.values()))

    def replace(self, setups: Sequence[SourceSetup], kept: Collection[str]) -> None:
        """Have these sources from now on: those of the ids in `kept` go on untouched, all others end.

        The new ones do not start yet.
        """
        ending = [state for source_id, state in self.states.items() if source_id not in kept]
        for state in ending:
            state.leaving = True
        _close(ending)
        for state in ending:
            self._listener(state).note_removed()
        ids = {setup.source.id: setup for setup in setups}
        self.states = {
            source_id: self.states[source_id] if source_id in kept else SourceState.of(setup)
            for source_id, setup in ids.items()
        }

    def end_if_all_ended(self) -> None:
        """Notify the daemon when there is nothing left to listen to."""
        if all(state.ended for state in self.states.values()):
            self._on_all_ended()

    def set_listening(self, source_id: str, on: bool) -> None:
        """Switch a source on or off, also for the next start of the daemon."""
        state = self.states[source_id]
        if state.disabled is not on:
            return
        if not on:
            self._switch_off(state)
        elif state.reopen is not None:
            try:
                self._switch_on(state, state.reopen)
            except GenrewatchError as exc:
                log.error("%s stays switched off: %s", source_id, exc)
            self._notify_disabled(source_id, state.disabled)
            if not state.disabled:
                self._start(state)

    def start_waiting(self) -> None:
        """Try again to start the sources for which the system had no thread left."""
        for state in self.states.values():
            if state.thread is None and not state.disabled:
                self._start(state)

    def set_pipelines(self, pipelines: Mapping[str, Pipeline]) -> None:
        """Replace the pipelines of sources, from the next segment on."""
        for source_id, pipeline in pipelines.items():
            self.states[source_id].pipeline = pipeline

    def notify_stalled(self) -> None:
        """Notify the sinks of every source that should give sound and does not."""
        for source_id, state in self.states.items():
            with state.lock:  # sound may arrive at this moment
                if state.is_waiting(NO_SOUND_YET_S):
                    self._listener(state).on_source_offline(source_id, NO_SOUND_YET)
                    continue
            if state.offline_reason and not state.ended and not state.disabled:
                self._sinks.notify(lambda sink, source_id=source_id: sink.on_stalled(source_id))  # type: ignore[misc]

    def _listener(self, state: SourceState) -> SourceListener:
        return SourceListener(
            state, self._sinks, closing=self._closing, on_end=self.end_if_all_ended, on_crash=self._on_crash
        )

    def _switch_on(self, state: SourceState, reopen: Callable[[], Source]) -> None:
        """Open a source again; raises GenrewatchError, and nothing is changed, where that fails."""
        if state.thread and state.thread.is_alive():
            raise SourceError(state.source.id, "has not ended yet")
        state.source, state.ended, state.offline_reason = reopen(), False, None
        self._set_disabled(state, False)

    def _switch_off(self, state: SourceState) -> None:
        self._set_disabled(state, True)
        state.source.close()
        if state.thread:
            state.thread.join(CLOSE_S)
        state.offline_reason = SWITCHED_OFF
        self._notify_disabled(state.source.id, True)

    def _set_disabled(self, state: SourceState, disabled: bool) -> None:
        log.info("%s is switched %s", state.source.id, "off" if disabled else "on")
        state.disabled = disabled
        self._persistent_state.put(DISABLED_KEY, [name for name, other in self.states.items() if other.disabled])

    def _start(self, state: SourceState) -> None:
        """Start the thread of a source; without one left, the source is offline until `start_waiting`."""
        thread = GuardedThread(state.source.id, self._listener(state).run)
        state.thread, state.started_s = thread, time.monotonic()
        try:
            thread.start()
        except OSError as exc:
            state.thread, why = None, os_error_reason(exc)
            if state.offline_reason != why:
                state.offline_reason = why
                self._sinks.notify(lambda sink: sink.on_availability(state.source.id, False, why))

    def _notify_disabled(self, source_id: str, disabled: bool) -> None:
        self._sinks.notify(lambda sink: sink.on_disabled(source_id, disabled))


def _close(states: Sequence[SourceState]) -> None:
    deadline = time.monotonic() + CLOSE_S
    call_all([state.source.close for state in states], CLOSE_S)
    join_all([state.thread for state in states if state.thread], max(0.0, deadline - time.monotonic()))

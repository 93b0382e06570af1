"""Runs the sources: a thread for each, which classifies its sound and notifies the sinks."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from genrewatch.audio.pcm import Block
from genrewatch.contract.errors import GenrewatchError, SourceError, os_error_reason
from genrewatch.daemon.parallel import call_all, join_all
from genrewatch.daemon.sink_group import SinkGroup
from genrewatch.daemon.source_state import SourceSetup, SourceState
from genrewatch.host.defects import DefectLog, defect_reason
from genrewatch.host.guarded_thread import GuardedThread
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.hop_control import WidenWhenLate
from genrewatch.inference.pipeline import Pipeline, SegmentResult, classify_stream
from genrewatch.sources.source import NO_SOUND_YET, NowPlaying, Source

CLOSE_S = 4.0
"""Longest time for a source, or for all of them at the end, to close."""
DISABLED_KEY = "off"
"""Key of the persistent state: ids of the sources that are switched off."""
SWITCHED_OFF = "switched off"
NO_SOUND_YET_S = 5.0
"""Time after its start at which a source without its first sound is reported as offline."""

log = logging.getLogger("genrewatch")


class SourceRunner:
    """Starts, switches and closes sources, and implements `SourceEvents`."""

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
        """State of each source by its id."""

    @property
    def all_failed(self) -> bool:
        """True if no source could be opened."""
        return all(state.failed for state in self.states.values())

    def start(self) -> None:
        """Start all sources but those that were switched off when the daemon last ran."""
        disabled: list[str] = self._persistent_state.get(DISABLED_KEY, [])
        for source_id, state in self.states.items():
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
        deadline = time.monotonic() + CLOSE_S
        call_all([state.source.close for state in self.states.values()], CLOSE_S)
        threads = [state.thread for state in self.states.values() if state.thread]
        join_all(threads, max(0.0, deadline - time.monotonic()))

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
                    self.on_source_offline(source_id, NO_SOUND_YET)
                    continue
            if state.offline_reason and not state.ended and not state.disabled:
                self._sinks.notify(lambda sink, source_id=source_id: sink.on_stalled(source_id))  # type: ignore[misc]

    def on_source_online(self, source_id: str, why: str) -> None:
        """See `SourceEvents`."""
        state = self.states[source_id]
        with state.lock:
            state.online, state.offline_reason = True, None
            self._sinks.notify(lambda sink: sink.on_availability(source_id, True, why))

    def on_source_offline(self, source_id: str, why: str) -> None:
        """See `SourceEvents`; the same reason is reported once, however often the source fails to restart."""
        state = self.states[source_id]
        self._notify_duration(source_id, ended=False)
        if state.offline_reason != why:
            state.online, state.offline_reason = False, why
            self._sinks.notify(lambda sink: sink.on_availability(source_id, False, why))
        self._sinks.notify(lambda sink: sink.on_stalled(source_id))

    def on_source_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """See `SourceEvents`."""
        self._sinks.notify(lambda sink: sink.on_now_playing(source_id, playing))

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
        thread = GuardedThread(state.source.id, partial(self._run, state))
        state.thread, state.started_s = thread, time.monotonic()
        try:
            thread.start()
        except OSError as exc:
            state.thread, why = None, os_error_reason(exc)
            if state.offline_reason != why:
                state.offline_reason = why
                self._sinks.notify(lambda sink: sink.on_availability(state.source.id, False, why))

    def _run(self, state: SourceState) -> None:
        """Run a source to its end. A defect is raised if its thread can start it again, else it ends the daemon."""
        try:
            why = self._listen(state)
        except Exception as exc:
            why = defect_reason(type(exc).__name__)
            with DefectLog(f"closing {state.source.id}").guarded():
                state.source.close()
            if state.restarts and not state.disabled and not self._closing.is_set():
                self.on_source_offline(state.source.id, why)
                state.defective = True
                raise
            self._on_crash(exc)
        self._note_end(state, why)

    def _listen(self, state: SourceState) -> str:
        """Listen to a source; return why it ended, "" if that was logged."""
        try:
            if state.defective and state.reopen:
                state.source, state.defective = state.reopen(), False
            blocks = state.counted(state.source.blocks(self))
            while self._run_stream(state, blocks):
                pass
        except GenrewatchError as exc:
            state.failed = True
            log.error("%s", exc)
            return ""
        return "ended"

    def _note_end(self, state: SourceState, why: str) -> None:
        source = state.source
        state.ended, state.online = not state.disabled, False
        if state.disabled:
            why = state.offline_reason = SWITCHED_OFF
        why = "stopped" if why and self._closing.is_set() else why
        self._notify_duration(source.id, ended=True)
        self._sinks.notify(lambda sink: sink.on_availability(source.id, False, why))
        if all(other.ended for other in self.states.values()):
            self._on_all_ended()

    def _run_stream(self, state: SourceState, blocks: Iterator[Block]) -> bool:
        """Classify until the source ends, or, which returns True, its pipeline is replaced."""
        source, pipeline = state.source, state.begin_stream()
        self._sinks.notify(lambda sink: sink.on_stream(source.id, pipeline))
        for result in classify_stream(blocks, pipeline, WidenWhenLate(source.waiting_s)):
            _log_hop_factor(state, result)
            state.take(result)
            self._sinks.notify(lambda sink, result=result: sink.on_result(source.id, result))  # type: ignore[misc]
            if state.pipeline is not pipeline:
                self._notify_duration(source.id, ended=True)
                return True
        return False

    def _notify_duration(self, source_id: str, *, ended: bool) -> None:
        heard_s, lost_s = self.states[source_id].stream_s
        self._sinks.notify(lambda sink: sink.on_duration(source_id, heard_s, lost_s, ended=ended))

    def _notify_disabled(self, source_id: str, disabled: bool) -> None:
        self._sinks.notify(lambda sink: sink.on_disabled(source_id, disabled))


def _log_hop_factor(state: SourceState, result: SegmentResult) -> None:
    """Log when classification starts to fall behind and when it has caught up; `health` shows the steps between."""
    before = state.hop_factor
    if before == 1 < result.hop_factor:
        log.warning("%s: this machine is too slow to classify every segment, some are skipped", state.source.id)
    elif before > 1 == result.hop_factor:
        log.warning("%s: every segment is classified again", state.source.id)

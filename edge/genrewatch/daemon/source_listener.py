"""The work of one source's thread: it classifies the source's sound and notifies the sinks."""

import logging
import threading
from collections.abc import Callable, Iterator

from genrewatch.audio.pcm import Block
from genrewatch.contract.errors import GenrewatchError
from genrewatch.daemon.sink_group import SinkGroup
from genrewatch.daemon.source_state import SourceState
from genrewatch.host.defects import DefectLog, defect_reason
from genrewatch.inference.hop_control import WidenWhenLate
from genrewatch.inference.pipeline import SegmentResult, classify_stream
from genrewatch.sources.source import NowPlaying

SWITCHED_OFF, REMOVED = "switched off", "removed from the configuration"

log = logging.getLogger("genrewatch")


class SourceListener:
    """Listens to one source from its start to its end; implements `SourceEvents` for it."""

    def __init__(
        self,
        state: SourceState,
        sinks: SinkGroup,
        *,
        closing: threading.Event,
        on_end: Callable[[], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        """Take what stays the same: `closing` is set once the daemon ends; `on_end` is called after the source has
        ended, `on_crash` with an unforeseen exception that ends the daemon."""
        self._state, self._sinks, self._closing = state, sinks, closing
        self._on_end, self._on_crash = on_end, on_crash

    def run(self) -> None:
        """Run the source to its end. A defect is raised if its thread can start it again, else it ends the daemon."""
        state = self._state
        try:
            why = self._listen()
        except Exception as exc:
            why = defect_reason(type(exc).__name__)
            with DefectLog(f"closing {state.source.id}").guarded():
                state.source.close()
            if state.restarts and not state.disabled and not state.leaving and not self._closing.is_set():
                self.on_source_offline(state.source.id, why)
                state.defective = True
                raise
            self._on_crash(exc)
        self._note_end(why)

    def on_source_online(self, source_id: str, why: str) -> None:
        """See `SourceEvents`."""
        state = self._state
        with state.lock:
            if not state.removed:
                state.online, state.offline_reason = True, None
                self._sinks.notify(lambda sink: sink.on_availability(source_id, True, why))

    def on_source_offline(self, source_id: str, why: str) -> None:
        """See `SourceEvents`; the same reason is reported once, however often the source fails to restart."""
        state = self._state
        with state.lock:
            if state.removed:
                return
            self.notify_duration(ended=False)
            if state.offline_reason != why:
                state.online, state.offline_reason = False, why
                self._sinks.notify(lambda sink: sink.on_availability(source_id, False, why))
            self._sinks.notify(lambda sink: sink.on_stalled(source_id))

    def on_source_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """See `SourceEvents`."""
        if not self._state.removed:
            self._sinks.notify(lambda sink: sink.on_now_playing(source_id, playing))

    def notify_duration(self, *, ended: bool) -> None:
        """Notify the sinks of the sound received and lost in this stream."""
        source_id, (heard_s, lost_s) = self._state.source.id, self._state.stream_s
        self._sinks.notify(lambda sink: sink.on_duration(source_id, heard_s, lost_s, ended=ended))

    def note_removed(self) -> None:
        """Notify the sinks that the source has left the configuration; nothing more is reported of it."""
        state = self._state
        with state.lock:
            if state.removed:
                return
            state.removed, state.online = True, False
            self.notify_duration(ended=True)
            self._sinks.notify(lambda sink: sink.on_availability(state.source.id, False, REMOVED))

    def _listen(self) -> str:
        """Listen to a source; return why it ended, "" if that was logged."""
        state = self._state
        try:
            if state.defective and state.reopen:
                state.source, state.defective = state.reopen(), False
            blocks = state.counted(state.source.blocks(self))
            while self._run_stream(blocks):
                pass
        except GenrewatchError as exc:
            state.failed = True
            log.error("%s", exc)
            return ""
        return "ended"

    def _note_end(self, why: str) -> None:
        state = self._state
        if state.leaving:
            self.note_removed()
            return
        state.ended, state.online = not state.disabled, False
        if state.disabled:
            why = state.offline_reason = SWITCHED_OFF
        why = "stopped" if why and self._closing.is_set() else why
        self.notify_duration(ended=True)
        self._sinks.notify(lambda sink: sink.on_availability(state.source.id, False, why))
        self._on_end()

    def _run_stream(self, blocks: Iterator[Block]) -> bool:
        """Classify until the source ends, or, which returns True, its pipeline is replaced."""
        state = self._state
        source, pipeline = state.source, state.begin_stream()
        self._sinks.notify(lambda sink: sink.on_stream(source.id, pipeline))
        for result in classify_stream(blocks, pipeline, WidenWhenLate(source.waiting_s)):
            if state.removed:  # by a reload that has not waited for its end
                return False
            _log_hop_factor(state, result)
            state.take(result)
            self._sinks.notify(lambda sink, result=result: sink.on_result(source.id, result))  # type: ignore[misc]
            if state.pipeline is not pipeline:
                self.notify_duration(ended=True)
                return True
        return False


def _log_hop_factor(state: SourceState, result: SegmentResult) -> None:
    """Log when classification starts to fall behind and when it has caught up; `health` shows the steps between."""
    before = state.hop_factor
    if before == 1 < result.hop_factor:
        log.warning("%s: this machine is too slow to classify every segment, some are skipped", state.source.id)
    elif before > 1 == result.hop_factor:
        log.warning("%s: every segment is classified again", state.source.id)

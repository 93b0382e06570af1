"""The daemon: a thread for each source, which runs its pipeline and tells every sink; it waits, and it ends cleanly."""

import logging
import queue
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from genrewatch import __version__
from genrewatch.audio.pcm import Block
from genrewatch.contract.errors import GenrewatchError, os_error_reason
from genrewatch.contract.payload import rounded
from genrewatch.daemon.source_state import Heard, SourceSetup
from genrewatch.host.machine import cpu_temperature_c
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.hop_control import WidenWhenLate
from genrewatch.inference.pipeline import Pipeline, SegmentResult, classify_stream
from genrewatch.sinks.sink import Sink
from genrewatch.sources.source import NowPlaying

CLOSE_S = 4.0
MOST_ORDERS = 100
OFF = "off"
SWITCHED_OFF = "switched off"

log = logging.getLogger("genrewatch")


class Daemon:
    """Listens to several sources until they end or it is stopped; obeys `Commands` meanwhile."""

    def __init__(
        self,
        inputs: Sequence[SourceSetup],
        sinks: Sequence[Sink],
        *,
        health_s: float,
        heartbeat_s: float,
        persistent_state: PersistentState | None = None,
        open_bundle: Callable[[str], Mapping[str, Pipeline]] | None = None,
    ) -> None:
        """`persistent_state` holds which sources are switched off; `open_bundle` returns each source's pipeline with
        another bundle, and raises GenrewatchError for one that cannot be used."""
        self._sinks, self._open_bundle = list(sinks), open_bundle
        self._persistent_state = persistent_state or PersistentState(None)
        self._health_s, self._heartbeat_s = health_s, heartbeat_s
        self._stop = threading.Event()
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._heard = {
            heard.source.id: Heard(source=heard.source, pipeline=heard.pipeline, reopen=heard.reopen)
            for heard in inputs
        }
        self._started = time.monotonic()
        self._crash: BaseException | None = None
        self._bundle_refused: str | None = None

    def run(self) -> int:
        """Listens; returns 0, or 2 when no source could be opened at all. What was not foreseen is raised."""
        self._start_sources()
        next_health = time.monotonic()
        while not self._stop.is_set():
            if time.monotonic() >= next_health:
                next_health += self._health_s
                self._tell(lambda sink: sink.on_health(self.health()))
            self._remind()
            self._obey_within(min(self._heartbeat_s, max(0.0, next_health - time.monotonic())))
        self._close_sources()
        self._tell(lambda sink: sink.on_health(self.health()))
        _all_at_once([sink.flush for sink in self._sinks])
        _all_at_once([sink.close for sink in self._sinks])
        if self._crash:
            raise self._crash
        return 2 if all(heard.failed for heard in self._heard.values()) else 0

    def stop(self) -> None:
        """Ends `run` soon; from any thread or signal handler."""
        self._stop.set()
        self._orders.put(lambda: None)

    def stop_on_signals(self) -> None:
        """SIGTERM, SIGINT and a terminal that closes end the daemon cleanly."""

        def handler(number: int, frame: FrameType | None) -> None:
            self.stop()

        signal.signal(signal.SIGTERM, handler)
        signal.signal(signal.SIGINT, handler)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            signal.signal(signal.SIGHUP, handler)

    def health(self) -> dict[str, Any]:
        """Diagnostics of the node."""
        used, heard = resource.getrusage(resource.RUSAGE_SELF), list(self._heard.values())
        cpu_s = used.ru_utime + used.ru_stime
        heard_s = sum(one.heard_s for one in heard)
        model = heard[0].pipeline.manifest if heard else None
        return {
            "version": __version__,
            "model": {"name": model.name, "version": model.version} if model else None,
            "bundle_refused": self._bundle_refused,
            "uptime_s": round(time.monotonic() - self._started, 1),
            "cpu_s": round(cpu_s, 2),
            "cpu_temperature_c": cpu_temperature_c(),
            "real_time_factor": rounded(heard_s / cpu_s if cpu_s else None, 1),
            "peak_rss_mb": round(used.ru_maxrss / 1024, 1),
            "segments": sum(one.segments for one in heard),
            "lost_s": round(sum(one.lost_s for one in heard), 3),
            "degraded": self._problems(),
            **{key: value for sink in self._sinks for key, value in sink.diagnostics().items()},
            "sources": {source_id: one.health() for source_id, one in self._heard.items()},
        }

    def set_listening(self, source_id: str, on: bool) -> None:
        """See `Commands`."""
        self._order(lambda: self._switch(source_id, on))

    def set_bundle(self, name: str) -> None:
        """See `Commands`."""
        self._order(lambda: self._change_bundle(name))

    def publish_health(self) -> None:
        """See `Commands`."""
        self._order(lambda: self._tell(lambda sink: sink.on_health(self.health())))

    def on_source_online(self, source_id: str, why: str) -> None:
        """See `SourceEvents`."""
        self._heard[source_id].online, self._heard[source_id].offline_why = True, None
        self._tell(lambda sink: sink.on_availability(source_id, True, why))

    def on_source_offline(self, source_id: str, why: str) -> None:
        """See `SourceEvents`; a reason is said once, however often a source fails to come back with it."""
        heard = self._heard[source_id]
        self._tell_heard(source_id, ended=False)
        if heard.offline_why != why:
            heard.online, heard.offline_why = False, why
            self._tell(lambda sink: sink.on_availability(source_id, False, why))
        self._tell(lambda sink: sink.on_stalled(source_id))

    def on_source_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """See `SourceEvents`."""
        self._tell(lambda sink: sink.on_now_playing(source_id, playing))

    def _start_sources(self) -> None:
        switched_off: list[str] = self._persistent_state.get(OFF, [])
        for source_id, heard in self._heard.items():
            heard.off = source_id in switched_off
            self._tell_off(source_id, heard.off)
            if heard.off:
                heard.offline_why = SWITCHED_OFF
                log.info("%s is switched off, as it was left", source_id)
            else:
                self._start(heard)

    def _start(self, heard: Heard) -> None:
        heard.thread = threading.Thread(target=self._listen, args=(heard,), name=heard.source.id, daemon=True)
        heard.thread.start()

    def _listen(self, heard: Heard) -> None:
        source, why = heard.source, "ended"
        try:
            blocks = heard.counted(source.blocks(self))
            while not self._one_stream(heard, blocks):
                pass
        except GenrewatchError as exc:
            heard.failed, why = True, ""
            log.error("%s", exc)
        except BaseException as exc:  # a defect: the whole daemon ends loudly, and the service restarts it
            self._crash = exc
            self.stop()
        heard.ended, heard.online = not heard.off, False
        if heard.off:
            why = heard.offline_why = SWITCHED_OFF
        why = "stopped" if why and self._stop.is_set() else why
        self._tell_heard(source.id, ended=True)
        self._tell(lambda sink: sink.on_availability(source.id, False, why))
        if all(other.ended for other in self._heard.values()):
            self.stop()

    def _one_stream(self, heard: Heard, blocks: Iterator[Block]) -> bool:
        """Classifies until the sound ends, which is True, or something else is to listen to it."""
        source, pipeline = heard.source, heard.begin_stream()
        self._tell(lambda sink: sink.on_stream(source.id, pipeline))
        for result in classify_stream(blocks, pipeline, WidenWhenLate(source.waiting_s)):
            self._note_load(heard, result)
            heard.newest, heard.segments = result, heard.segments + 1
            self._tell(lambda sink, result=result: sink.on_result(source.id, result))  # type: ignore[misc]
            if heard.pipeline is not pipeline:
                self._tell_heard(source.id, ended=True)
                return False
        return True

    def _order(self, order: Callable[[], None]) -> None:
        """Something that the main thread is to do soon; nobody is obeyed who gives hundreds of orders at a time."""
        if self._orders.qsize() < MOST_ORDERS:
            self._orders.put(order)

    def _obey_within(self, longest_s: float) -> None:
        with suppress(queue.Empty):
            self._orders.get(timeout=longest_s)()

    def _switch(self, source_id: str, on: bool) -> None:
        """Stops listening to a source, or begins again; it stays so over a restart."""
        heard = self._heard[source_id]
        if heard.off is not on or (on and heard.reopen is None):
            return
        if on and heard.thread and heard.thread.is_alive():
            log.warning("%s has not ended yet, it stays off", source_id)
            self._tell_off(source_id, True)
            return
        log.info("%s is switched %s", source_id, "on" if on else "off")
        heard.off = not on
        self._persistent_state.put(OFF, [name for name, other in self._heard.items() if other.off])
        if on and heard.reopen:
            heard.source, heard.ended, heard.offline_why = heard.reopen(), False, None
            self._tell_off(source_id, False)
            self._start(heard)
        else:
            heard.source.close()
            if heard.thread:
                heard.thread.join(CLOSE_S)
            self._tell_off(source_id, True)

    def _change_bundle(self, name: str) -> None:
        """Listens with another model from the next segment on; one that cannot be used changes nothing."""
        try:
            pipelines = self._open_bundle(name) if self._open_bundle else {}
        except GenrewatchError as exc:
            self._bundle_refused = str(exc)
            log.error("the bundle %s is refused, the old one stays: %s", name, exc)
            return
        self._bundle_refused = None
        for source_id, pipeline in pipelines.items():
            self._heard[source_id].pipeline = pipeline
        log.info("bundle %s from now on", name)

    def _note_load(self, heard: Heard, result: SegmentResult) -> None:
        """Says when inference begins to fall behind and when it has caught up; the steps between are in `health`."""
        before = heard.newest.hop_factor if heard.newest else 1
        if before == 1 < result.hop_factor:
            log.warning("%s: this machine is too slow for every segment, looking less often", heard.source.id)
        elif before > 1 == result.hop_factor:
            log.warning("%s: every segment is looked at again", heard.source.id)

    def _close_sources(self) -> None:
        """Ends all sources at once, within one deadline: a stubborn child must not hold up the others' farewell."""
        deadline = time.monotonic() + CLOSE_S
        _all_at_once([heard.source.close for heard in self._heard.values()])
        for heard in self._heard.values():
            if heard.thread:
                heard.thread.join(max(0.0, deadline - time.monotonic()))

    def _problems(self) -> list[str]:
        """What does not work as it should, a line each."""
        slow = [
            f"{source_id}: this machine looks at every {heard.newest.hop_factor}th segment alone"
            for source_id, heard in self._heard.items()
            if heard.newest and heard.newest.hop_factor > 1
        ]
        return slow + [trouble for sink in list(self._sinks) for trouble in sink.problems()]

    def _tell_heard(self, source_id: str, *, ended: bool) -> None:
        heard_s, lost_s = self._heard[source_id].of_stream_s
        self._tell(lambda sink: sink.on_duration(source_id, heard_s, lost_s, ended=ended))

    def _tell_off(self, source_id: str, off: bool) -> None:
        self._tell(lambda sink: sink.on_disabled(source_id, off))

    def _remind(self) -> None:
        """Says again which sources are still missing."""
        for source_id, heard in self._heard.items():
            if heard.offline_why and not heard.ended and not heard.off:
                self._tell(lambda sink, source_id=source_id: sink.on_stalled(source_id))  # type: ignore[misc]

    def _tell(self, say: Callable[[Sink], None]) -> None:
        for sink in list(self._sinks):
            try:
                say(sink)
            except OSError as exc:
                with suppress(ValueError):  # another source's thread found out first
                    self._sinks.remove(sink)
                    log.error("%s is given up: %s", type(sink).__name__, os_error_reason(exc))
                if isinstance(exc, BrokenPipeError):  # whoever read our lines has left: end, as `| head` expects
                    self._crash = self._crash or exc
                    self.stop()


def _all_at_once(calls: Sequence[Callable[[], None]]) -> None:
    """Makes several calls side by side, and waits for them, but not for ever."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + CLOSE_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))

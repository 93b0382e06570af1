"""The daemon: a thread for each source, which runs its pipeline and tells every sink; it waits, and it ends cleanly."""

import logging
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from edge import __version__
from edge.contract.errors import GenrewatchError
from edge.load import WidenWhenLate
from edge.payload import level_fields, rounded
from edge.pcm import Block
from edge.pipeline import Listener, SegmentResult, classify_stream
from edge.sinks.sink import Sink
from edge.sources import NowPlaying, Source

CLOSE_S = 4.0

log = logging.getLogger("genrewatch")


@dataclass(frozen=True, kw_only=True)
class Input:
    """A source and what listens to it."""

    source: Source
    listener: Listener
    name: str
    """For people."""


@dataclass(kw_only=True)
class _Heard:
    """What is known of one source."""

    source: Source
    listener: Listener
    online: bool = False
    segments: int = 0
    heard_s: float = 0.0
    lost_s: float = 0.0
    newest: SegmentResult | None = None
    offline_why: str | None = None  # what was last said of it
    failed: bool = False
    ended: bool = False

    def counted(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The blocks, as they come, with what is there and what is missing between them added up."""
        for block in blocks:
            self.heard_s += len(block.samples) / block.sample_rate
            self.lost_s += block.lost / block.sample_rate
            yield block

    def health(self) -> dict[str, Any]:
        """Diagnostics of this source."""
        counts = self.source.counts
        return {
            "online": self.online,
            "why": self.offline_why,
            "segments": self.segments,
            "heard_s": round(self.heard_s, 3),
            "lost_s": round(self.lost_s, 3),
            "lost": {cause: round(seconds, 3) for cause, seconds in list(counts.lost_s.items())},
            "restarts": counts.restarts,
            "waiting_s": round(self.source.waiting_s(), 3),
            "hop_factor": self.newest.hop_factor if self.newest else 1,
            **(level_fields(self.newest) if self.newest and self.online else {}),
        }


class Daemon:
    """Listens to several sources until they end or it is stopped."""

    def __init__(
        self,
        inputs: Sequence[Input],
        sinks: Sequence[Sink],
        *,
        health_s: float,
        heartbeat_s: float,
    ) -> None:
        self._sinks = list(sinks)
        self._health_s, self._heartbeat_s = health_s, heartbeat_s
        self._stop = threading.Event()
        self._heard = {heard.source.id: _Heard(source=heard.source, listener=heard.listener) for heard in inputs}
        self._started = time.monotonic()
        self._crash: BaseException | None = None

    def run(self) -> int:
        """Listens; returns 0, or 2 when no source could be opened at all. What was not foreseen is raised."""
        threads = [
            threading.Thread(target=self._listen, args=(heard,), name=source_id, daemon=True)
            for source_id, heard in self._heard.items()
        ]
        for thread in threads:
            thread.start()
        next_health = time.monotonic()
        while not self._stop.is_set():
            if time.monotonic() >= next_health:
                next_health += self._health_s
                self._tell(lambda sink: sink.publish_health(self.health()))
            self._remind()
            self._stop.wait(min(self._heartbeat_s, max(0.0, next_health - time.monotonic())))
        self._close_sources(threads)
        self._tell(lambda sink: sink.publish_health(self.health()))
        for sink in self._sinks:
            sink.close()
        if self._crash:
            raise self._crash
        return 2 if all(heard.failed for heard in self._heard.values()) else 0

    def stop(self) -> None:
        """Ends `run` soon; from any thread or signal handler."""
        self._stop.set()

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
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = used.ru_utime + used.ru_stime
        heard_s = sum(heard.heard_s for heard in self._heard.values())
        return {
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._started, 1),
            "cpu_s": round(cpu_s, 2),
            "real_time_factor": rounded(heard_s / cpu_s if cpu_s else None, 1),
            "peak_rss_mb": round(used.ru_maxrss / 1024, 1),
            "sources": {source_id: heard.health() for source_id, heard in self._heard.items()},
        }

    def source_online(self, source_id: str, why: str) -> None:
        """See `SourceEvents`."""
        self._heard[source_id].online, self._heard[source_id].offline_why = True, None
        self._tell(lambda sink: sink.publish_online(source_id, True, why))

    def source_offline(self, source_id: str, why: str) -> None:
        """See `SourceEvents`; a reason is said once, however often a source fails to come back with it."""
        heard = self._heard[source_id]
        if heard.offline_why != why:
            heard.online, heard.offline_why = False, why
            self._tell(lambda sink: sink.publish_online(source_id, False, why))
        self._tell(lambda sink: sink.publish_stalled(source_id))

    def source_playing(self, source_id: str, playing: NowPlaying) -> None:
        """See `SourceEvents`."""
        self._tell(lambda sink: sink.publish_playing(source_id, playing))

    def _listen(self, heard: _Heard) -> None:
        source, why = heard.source, "ended"
        try:
            control = WidenWhenLate(source.waiting_s)
            for result in classify_stream(heard.counted(source.blocks(self)), heard.listener, control):
                self._note_load(heard, result)
                heard.newest, heard.segments = result, heard.segments + 1
                self._tell(lambda sink, result=result: sink.publish_result(source.id, result))  # type: ignore[misc]
        except GenrewatchError as wrong:
            heard.failed, why = True, ""
            log.error("%s", wrong)
        except BaseException as crash:  # a defect: the whole daemon ends loudly, and the service restarts it
            self._crash = crash
            self.stop()
        heard.ended, heard.online = True, False
        why = "stopped" if why and self._stop.is_set() else why
        self._tell(lambda sink: sink.publish_online(source.id, False, why))
        if all(other.ended for other in self._heard.values()):
            self.stop()

    def _note_load(self, heard: _Heard, result: SegmentResult) -> None:
        """Says when inference begins to fall behind and when it has caught up; the steps between are in `health`."""
        before = heard.newest.hop_factor if heard.newest else 1
        if before == 1 < result.hop_factor:
            log.warning("%s: this machine is too slow for every segment, looking less often", heard.source.id)
        elif before > 1 == result.hop_factor:
            log.warning("%s: every segment is looked at again", heard.source.id)

    def _close_sources(self, threads: Sequence[threading.Thread]) -> None:
        """Ends all sources at once, within one deadline: a stubborn child must not hold up the others' farewell."""
        closing = [threading.Thread(target=heard.source.close, daemon=True) for heard in self._heard.values()]
        for closer in closing:
            closer.start()
        deadline = time.monotonic() + CLOSE_S
        for thread in (*closing, *threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _remind(self) -> None:
        """Says again which sources are still missing."""
        for source_id, heard in self._heard.items():
            if heard.offline_why and not heard.ended:
                self._tell(lambda sink, source_id=source_id: sink.publish_stalled(source_id))  # type: ignore[misc]

    def _tell(self, say: Callable[[Sink], None]) -> None:
        for sink in list(self._sinks):
            try:
                say(sink)
            except OSError as gone:
                with suppress(ValueError):  # another source's thread found out first
                    self._sinks.remove(sink)
                    log.error("%s is given up: %s", type(sink).__name__, gone.strerror or gone)
                if isinstance(gone, BrokenPipeError):  # whoever read our lines has left: end, as `| head` expects
                    self._crash = self._crash or gone
                    self.stop()

"""The sink of the history: turns results into spells for the thread that writes them.

Nothing here waits for the disk or the broker: the thread of a source takes a lock, adds to a spell and goes on.
"""

import secrets
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from genrewatch.history.config import HistoryConfig
from genrewatch.history.correction_inbox import MAX_REQUESTS, CorrectionRequest
from genrewatch.history.delayed_results import DelayedResult, DelayedResults
from genrewatch.history.delivery import HistoryTransport
from genrewatch.history.posterior_buffer import Stream, StreamResult
from genrewatch.history.spell import SpellContext
from genrewatch.history.spell_builder import SpellBuilder
from genrewatch.history.writer import MAX_QUEUED, Batch, HistoryWriter
from genrewatch.host.times import Timestamp, now
from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.sinks.sink import Sink, SourceInfo


class HistorySink(Sink):
    """Builds the spells of one node and hands them to a `HistoryWriter`; any thread may call any method."""

    def __init__(
        self,
        path: Path,
        node: str,
        config: HistoryConfig,
        *,
        names: Mapping[str, str],
        transport: HistoryTransport | None = None,
        clock: Callable[[], Timestamp] = now,
    ) -> None:
        """`path` is the database, `names` maps source ids to display names; without `transport` nothing is sent."""
        self._node, self._config, self._names, self._clock = node, config, names, clock
        self._run = secrets.token_hex(4)
        self._spells, self._streams = SpellBuilder(), dict[str, Stream]()
        self._delayed = dict[str, DelayedResults]()
        self._results: deque[StreamResult] = deque(maxlen=min(MAX_QUEUED, config.posteriors))
        self._corrections: deque[CorrectionRequest] = deque(maxlen=MAX_REQUESTS)
        self._dropped = 0  # spells, while the writer hangs
        self._lock = threading.Lock()
        self._writer = HistoryWriter(path, node, config, transport, self._collect, clock)

    def start(self) -> None:
        """Start to write; a disk that cannot be written is reported in `problems`."""
        self._writer.start()

    def wake(self) -> None:
        """Notify the writer that the transport has connected or has acknowledgements."""
        self._writer.wake()

    def set_transport(self, transport: HistoryTransport | None) -> None:
        """Deliver over another connection from now on; over none, records wait."""
        self._writer.set_transport(transport)

    def on_sources(self, sources: Mapping[str, SourceInfo]) -> None:
        """See `Sink`."""
        self._names = {source_id: source.name for source_id, source in sources.items()}

    def diagnostics(self) -> dict[str, Any]:
        """See `Sink`."""
        diagnostics = self._writer.diagnostics()
        with self._lock:
            diagnostics["unsaved"] += len(self._spells.ended)
            diagnostics["dropped"] += self._dropped
        return {"history": diagnostics}

    def problems(self) -> list[str]:
        """See `Sink`."""
        return [f"history: {problem}" for problem in self._writer.problems]

    def on_stream(self, source_id: str, pipeline: Pipeline) -> None:
        """See `Sink`."""
        with self._lock:
            at = self._clock()
            self._add_delayed(source_id)
            self._delayed[source_id] = DelayedResults(pipeline, self._config.lag_s)
            self._streams[source_id] = Stream(source=source_id, pipeline=pipeline, started=at)
            self._spells.start_stream(self._context(source_id, pipeline), at)
            self._wake_if_ended()

    def on_availability(self, source_id: str, online: bool, why: str) -> None:
        """See `Sink`."""
        if online:
            with self._lock:
                self._add_delayed(source_id)
                self._spells.mark_resumed(source_id, self._clock())

    def on_stalled(self, source_id: str) -> None:
        """See `Sink`."""
        with self._lock:
            self._add_delayed(source_id)
            self._spells.mark_stalled(source_id, self._clock())
            self._wake_if_ended()

    def on_duration(self, source_id: str, heard_s: float, lost_s: float, *, ended: bool) -> None:
        """See `Sink`."""
        with self._lock:
            at = self._clock()
            self._add_delayed(source_id)
            self._spells.add_duration(source_id, heard_s, lost_s, at)
            if ended:
                self._spells.end_stream(source_id, at)
            self._wake_if_ended()

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """See `Sink`."""
        with self._lock:
            self._add(source_id, self._delayed[source_id].push(result, self._clock()))
            self._wake_if_ended()

    def on_correction(self, source_id: str, seq: int | None, label: str | None) -> None:
        """See `Sink`."""
        with self._lock:
            self._corrections.append(CorrectionRequest(source=source_id, seq=seq, label=label))
        self._writer.wake()

    def flush(self) -> None:
        """End the open spells, and wait a moment for them to be written and delivered."""
        with self._lock:
            for source_id in self._delayed:
                self._add_delayed(source_id)
            self._spells.end_all(self._clock())
        self._writer.close()

    def _add_delayed(self, source_id: str) -> None:
        """Add the results that are kept back: what the caller is about to note comes after them."""
        if source_id in self._delayed:
            self._add(source_id, self._delayed[source_id].flush())

    def _add(self, source_id: str, results: Iterable[DelayedResult]) -> None:
        for delayed in results:
            self._spells.add_result(source_id, delayed.past, delayed.at)
            if self._config.posteriors:
                self._results.append(StreamResult(stream=self._streams[source_id], delayed=delayed.without_features()))

    def _context(self, source_id: str, pipeline: Pipeline) -> SpellContext:
        manifest, name = pipeline.manifest, self._names.get(source_id, source_id)
        names = {"node": self._node, "source": source_id, "name": name, "run": self._run}
        return SpellContext(
            **names,
            model=manifest.name,
            version=manifest.version,
            features=self._config.features,
            body=pipeline.body,
        )

    def _wake_if_ended(self) -> None:
        surplus = len(self._spells.ended) - MAX_QUEUED
        if surplus > 0:
            del self._spells.ended[:surplus]
            self._dropped += surplus
        if self._spells.ended:
            self._writer.wake()

    def _collect(self) -> Batch:
        """Take what the writer has not yet got, at one moment."""
        with self._lock:
            open_spells = [replace(spell, votes=Counter(spell.votes)) for spell in self._spells.open_spells()]
            batch = Batch(
                ended=self._spells.ended,
                open_spells=open_spells,
                results=list(self._results),
                corrections=list(self._corrections),
            )
            self._spells.ended = []
            self._results.clear()
            self._corrections.clear()
        return batch

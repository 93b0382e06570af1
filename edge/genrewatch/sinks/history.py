"""Keeps what was heard: turns what the daemon says into spells and hands them to the thread that writes them.

Nothing here waits for the disk or the broker: a source's thread takes a lock, adds to a spell and goes on.
"""

import secrets
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from genrewatch.history.config import HistoryConfig
from genrewatch.history.delivery import HistoryTransport
from genrewatch.history.ring import Judged, Stream
from genrewatch.history.spell import Setting
from genrewatch.history.spell_builder import SpellBuilder
from genrewatch.history.writer import MOST_WAITING, HistoryWriter, News
from genrewatch.host.times import Timestamp, now
from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.sinks.sink import Sink


class HistorySink(Sink):
    """Writes the history of one node; any thread may call any method."""

    def __init__(
        self,
        path: Path,
        node: str,
        config: HistoryConfig,
        *,
        names: Mapping[str, str],
        transport: HistoryTransport | None = None,
        moment: Callable[[], Timestamp] = now,
    ) -> None:
        """`path` is the database, `names` maps source ids to display names; without `transport` nothing is sent."""
        self._node, self._config, self._names, self._moment = node, config, names, moment
        self._run = secrets.token_hex(4)
        self._book, self._streams = SpellBuilder(), dict[str, Stream]()
        self._judged: deque[Judged] = deque(maxlen=min(MOST_WAITING, config.posteriors))
        self._dropped = 0  # while the keeper hangs
        self._lock = threading.Lock()
        self._writer = HistoryWriter(path, node, config, transport, self._collect)

    def start(self) -> None:
        """Begins to write; a disk that cannot be written is no error."""
        self._writer.start()

    def wake(self) -> None:
        """The courier has news."""
        self._writer.wake()

    def diagnostics(self) -> dict[str, Any]:
        """See `Sink`."""
        facts = self._writer.facts()
        with self._lock:
            facts["unsaved"] += len(self._book.ended)
            facts["dropped"] += self._dropped
        return {"history": facts}

    def problems(self) -> list[str]:
        """See `Sink`."""
        trouble = self._writer.trouble
        return [f"history: {trouble}"] if trouble else []

    def on_stream(self, source_id: str, pipeline: Pipeline) -> None:
        """See `Sink`."""
        with self._lock:
            at = self._moment()
            self._streams[source_id] = Stream(source=source_id, pipeline=pipeline, begun=at)
            self._book.begin(self._setting(source_id, pipeline), at)
            self._wake_if_ended()

    def on_availability(self, source_id: str, online: bool, why: str) -> None:
        """See `Sink`."""
        if online:
            with self._lock:
                self._book.resumed(source_id, self._moment())

    def on_stalled(self, source_id: str) -> None:
        """See `Sink`."""
        with self._lock:
            self._book.stalled(source_id, self._moment())
            self._wake_if_ended()

    def on_duration(self, source_id: str, heard_s: float, lost_s: float, *, ended: bool) -> None:
        """See `Sink`."""
        with self._lock:
            at = self._moment()
            self._book.heard(source_id, heard_s, lost_s, at)
            if ended:
                self._book.finish(source_id, at)
            self._wake_if_ended()

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """See `Sink`."""
        with self._lock:
            self._book.result(source_id, result, self._moment())
            if self._config.posteriors:
                self._judged.append(Judged(stream=self._streams[source_id], result=result))
            self._wake_if_ended()

    def flush(self) -> None:
        """Ends what is open, and waits a moment for it to be written and delivered."""
        with self._lock:
            self._book.finish_all(self._moment())
        self._writer.close()

    def _setting(self, source_id: str, pipeline: Pipeline) -> Setting:
        manifest, name = pipeline.manifest, self._names.get(source_id, source_id)
        names = {"node": self._node, "source": source_id, "name": name, "run": self._run}
        return Setting(**names, model=manifest.name, version=manifest.version)

    def _wake_if_ended(self) -> None:
        surplus = len(self._book.ended) - MOST_WAITING
        if surplus > 0:
            del self._book.ended[:surplus]
            self._dropped += surplus
        if self._book.ended:
            self._writer.wake()

    def _collect(self) -> News:
        """What the keeper has not yet got, all of one moment."""
        with self._lock:
            drafts = [replace(spell, votes=Counter(spell.votes)) for spell in self._book.drafts()]
            news = News(ended=self._book.ended, drafts=drafts, judged=list(self._judged))
            self._book.ended = []
            self._judged.clear()
        return news

"""The thread that writes the database and delivers from it: a slow, full or dead disk delays only this thread.

What cannot be written waits in a bounded queue in memory; meanwhile `degraded` gives the reason. A damaged database
is moved aside, and a new one is created. One of a newer format is left as it is. Spells from before the clock was set
wait for it.
"""

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genrewatch.history.config import HistoryConfig
from genrewatch.history.correction_inbox import CorrectionInbox, CorrectionRequest
from genrewatch.history.damaged_files import DamagedFiles
from genrewatch.history.database import Damaged, Missing, NewerFormat, Unavailable
from genrewatch.history.delivery import Delivery, HistoryTransport
from genrewatch.history.feature_store import FeatureStore, features_path
from genrewatch.history.posterior_buffer import StreamResult
from genrewatch.history.spell import Spell
from genrewatch.history.spell_times import SpellTimes
from genrewatch.history.store import HistoryStore
from genrewatch.host.defects import defect_reason
from genrewatch.host.guarded_thread import GuardedThread
from genrewatch.host.times import Timestamp, ms_to_rfc3339, now

MAX_QUEUED = 10_000
"""Spells that wait in memory while the disk cannot be written."""
RETRY_S = 5.0
"""Pause between attempts to write."""
PRUNE_S = 60.0
"""Time between checks for old records."""
PRUNE_MORE_S = 1.0
"""The same while there are more to delete."""
HANGS_S = 30.0
"""Duration of one disk access after which it is reported as hanging."""
GATHER_S = 0.05
"""Pause after a spell has ended, so that spells that end together are written together."""
LEAST_FREE_MB = 100
"""Free space below which the disk counts as nearly full."""
FLUSH_S = 1.0
"""Time that `close` waits for the broker to acknowledge the last spells."""

log = logging.getLogger("genrewatch")


@dataclass(kw_only=True)
class Batch:
    """New data since the writer's last call of `collect`."""

    ended: list[Spell] = field(default_factory=list)
    open_spells: list[Spell] = field(default_factory=list)
    results: list[StreamResult] = field(default_factory=list)
    corrections: list[CorrectionRequest] = field(default_factory=list)


class HistoryWriter:
    """Stores the spells of one node in `path` and delivers them through `transport`, if there is one."""

    def __init__(
        self,
        path: Path,
        node: str,
        config: HistoryConfig,
        transport: HistoryTransport | None,
        collect: Callable[[], Batch],
        clock: Callable[[], Timestamp] = now,
    ) -> None:
        self._path, self._node, self._config = path, node, config
        self._collect, self._clock, self._times = collect, clock, SpellTimes()
        self._delivery = Delivery(transport, per_s=config.backfill_per_s) if transport else None
        self._store: HistoryStore | None = None
        self._corrections = CorrectionInbox(path)
        self._delivers = False  # whether the store was opened with an outbox
        self._features = FeatureStore(features_path(path), config.features_mb) if config.features else None
        self._ended: deque[Spell] = deque()
        self._results: deque[StreamResult] = deque(maxlen=min(MAX_QUEUED, config.posteriors))
        self._open_spells: list[Spell] = []
        self._saved: tuple[list[Spell], int] = [], 0  # the open spells and the number of held ones as last written
        self._wake, self._closing = threading.Event(), threading.Event()
        self._opened_s = 0.0
        self._next_save = self._next_prune = self._next_try = 0.0
        self._damaged = DamagedFiles(path)
        self._clock_problem: str | None = None
        self._disk_problem: str | None = None
        self.degraded: str | None = None
        """The reason why nothing can be written at present."""
        self._diagnostics: dict[str, Any] = {
            "stored": 0,
            "waiting": 0,
            "head": None,
            "posteriors_dropped": 0,
        }
        self._dropped = 0
        self._thread = GuardedThread("history", self._run, stuck_s=HANGS_S)

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def set_transport(self, transport: HistoryTransport | None) -> None:
        """Deliver over another connection, or over none, from the next run on."""
        if transport is None:
            self._delivery = None
        elif self._delivery is None:
            self._delivery = Delivery(transport, per_s=self._config.backfill_per_s)
        else:
            self._delivery.set_transport(transport)
        self.wake()

    def wake(self) -> None:
        """Notify the thread that there is something to store or to deliver."""
        self._wake.set()

    def close(self) -> None:
        """Store and deliver what there is, within `2 * FLUSH_S`, and close the database."""
        self._closing.set()
        self._wake.set()
        self._thread.join(2 * FLUSH_S)

    @property
    def problems(self) -> list[str]:
        """The present problems as text for people; a database that was moved aside is one until the daemon ends."""
        problem, hangs_s = self.degraded or self._thread.defects.problem, self._thread.progress.stuck_for_s
        if hangs_s is not None:
            what = "the disk has not answered" if self._store else "the file is being opened and checked"
            problem = f"{what} for {hangs_s:.0f} s"
        kept = self._delivery.undeliverable if self._delivery else 0
        undeliverable = f"{kept} spells stay here only, the broker does not take them" if kept else None
        features = self._features.problem if self._features else None
        disk = (problem, self._damaged.problem, self._disk_problem)
        others = (self._clock_problem, undeliverable, self._corrections.problem, features)
        return [text for text in (*disk, *others) if text]

    def diagnostics(self) -> dict[str, Any]:
        """Return the numbers of records stored, waiting, unsaved and dropped, and the newest hash."""
        undeliverable = self._delivery.undeliverable if self._delivery else 0
        return {
            **self._diagnostics,
            "set_aside": self._damaged.newest,
            "unsaved": len(self._ended),
            "dropped": self._dropped,
            "undeliverable": undeliverable,
            "correction_refused": self._corrections.refused,
        }

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(self._wait_s())
            self._closing.wait(GATHER_S)
            self._wake.clear()
            self._run_once()
        self._next_save = self._next_try = 0.0
        self._run_once()
        self._flush()

    def _run_once(self) -> None:
        self._enqueue(self._collect())
        if time.monotonic() < self._next_try:
            return
        with self._thread.working():
            self._write()

    def _write(self) -> None:
        """Save, deliver and prune, as far as each is due."""
        delivery = self._delivery
        try:
            if self._store is not None and self._delivers is not (delivery is not None):
                self._close_store()
            if self._store is None:
                self._delivers = delivery is not None
                self._store = self._open_store()
                self._times.start_after(self._store.last_end_ms)
                self._corrections.forget()
            self._save(self._store)
            if not self._clock_problem:
                self._corrections.run(self._store, self._open_spells, self._clock())
            if delivery:
                delivery.run(self._store)
            self._prune(self._store)
            self._note_success(self._store)
        except Unavailable as exc:
            if isinstance(exc, Missing | NewerFormat):
                self._close_store()
            self._fail(str(exc))
        except Damaged as exc:
            self._replace_damaged(str(exc))
        except Exception as exc:  # a defect, which spells wait for as for a full disk
            self._thread.defects.add(exc)
            self._close_store()
            self._fail(defect_reason(type(exc).__name__))

    def _open_store(self) -> HistoryStore:
        self._opened_s = time.monotonic()
        return HistoryStore(self._path, self._node, deliver=self._delivers, posteriors=self._config.posteriors)

    def _enqueue(self, batch: Batch) -> None:
        self._ended.extend(batch.ended)
        surplus = len(self._results) + len(batch.results) - (self._results.maxlen or 0)
        self._diagnostics["posteriors_dropped"] += max(0, surplus)
        self._results.extend(batch.results)
        self._open_spells = batch.open_spells
        self._corrections.add(batch.corrections)
        while len(self._ended) > MAX_QUEUED:
            self._ended.popleft()
            self._dropped += 1

    def _save(self, store: HistoryStore) -> None:
        due = time.monotonic() >= self._next_save or 2 * len(self._results) > MAX_QUEUED
        at = self._clock()
        self._note_clock(at)
        waiting = self._times.waiting(at) and not self._closing.is_set()
        ended, held = ([], list(self._ended)) if waiting else (list(self._ended), [])
        if ended or (due and (self._results or (self._open_spells, len(held)) != self._saved)):
            open_spells = [self._times.corrected(spell, at) for spell in self._open_spells]
            corrected = [self._times.corrected(spell, at) for spell in ended]
            store.append(corrected, open_spells, list(self._results), held)
            if self._features:
                self._features.add(store.last_seq - len(corrected) + 1, corrected)
            if ended:
                self._ended.clear()
            self._results.clear()
            self._saved = self._open_spells, len(held)
        if time.monotonic() >= self._next_save:
            self._next_save = time.monotonic() + self._config.save_s

    def _note_clock(self, at: Timestamp) -> None:
        problem = self._times.problem(at)
        if problem and not self._clock_problem:
            log.warning("history: %s", problem)
        elif self._clock_problem and not problem:
            log.info("history: the clock is set; spells from before have their time from the monotonic clock")
        self._clock_problem = problem

    def _prune(self, store: HistoryStore) -> None:
        if time.monotonic() < self._next_prune:
            return
        limits = {"keep_days": self._config.keep_days, "max_bytes": self._config.max_mb * 1_000_000}
        more, dropped = store.prune(now_ms=self._plausible_now_ms(store), **limits)
        self._dropped += dropped
        if self._features:
            self._features.prune(store.first_seq)
        self._note_disk()
        self._next_prune = time.monotonic() + (PRUNE_MORE_S if more else PRUNE_S)

    def _note_disk(self) -> None:
        """Note a disk that is nearly full, before nothing can be written any more."""
        try:
            free_mb = shutil.disk_usage(self._path.parent).free // 1_000_000
        except OSError:  # writing will say why
            return
        problem = f"the disk is nearly full, {free_mb} MB free" if free_mb < LEAST_FREE_MB else None
        if problem and not self._disk_problem:
            log.warning("history: %s (%s)", problem, self._path.parent)
        self._disk_problem = problem

    def _plausible_now_ms(self, store: HistoryStore) -> int:
        """Return the time, limited to the newest stored spell plus the time since the start.

        A wall clock that is set years ahead must not make all spells too old.
        """
        now_ms = self._clock().utc_ms
        if store.newest_end_ms is None:
            return now_ms
        return min(now_ms, store.newest_end_ms + round(1000 * (time.monotonic() - self._opened_s)))

    def _note_success(self, store: HistoryStore) -> None:
        self._diagnostics |= {"stored": store.stored, "waiting": store.waiting, "head": store.head}
        if self.degraded:
            log.warning("the history can be written again: %s", self._path)
            self.degraded = None

    def _fail(self, reason: str) -> None:
        if self.degraded is None:
            log.error("the history cannot be written (%s: %s); spells wait in memory until it can", self._path, reason)
        self.degraded = reason
        self._next_try = time.monotonic() + RETRY_S

    def _replace_damaged(self, reason: str) -> None:
        """Move the damaged database aside, so that the next run creates a new one."""
        self._close_store()
        if why_not := self._damaged.move(reason, ms_to_rfc3339(self._clock().utc_ms)):
            self._fail(why_not)
        else:
            self._wake.set()

    def _close_store(self) -> None:
        if self._store:
            try:
                self._store.close()
            except (Unavailable, Damaged):
                pass  # it is closed because of such an error
        self._store = None

    def _flush(self) -> None:
        """Wait up to `FLUSH_S` for the broker to acknowledge the last spells, and close the database."""
        deadline = time.monotonic() + FLUSH_S
        while self._store and self._store.waiting and self._delivery and self._delivery.connected:
            if time.monotonic() > deadline:
                break
            self._wake.wait(0.02)
            self._wake.clear()
            self._run_once()
        self._close_store()

    def _wait_s(self) -> float:
        """Return the seconds until something is due, if the thread is not woken."""
        due = min(self._next_save, self._next_prune) if self._store else self._next_try
        if self._delivery and self._store:
            due = min(due, self._delivery.next_run_s)
        return max(GATHER_S, due - time.monotonic())

"""The thread that keeps and delivers: it alone touches the disk, so that a slow, full or dead one holds up nobody.

What cannot be written waits in memory, bounded, and is written when it can be; meanwhile `degraded` says why. A
database that is damaged is set aside under another name, a new one is begun, and the log says so.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genrewatch.contract.errors import os_error_reason
from genrewatch.history.config import HistoryConfig
from genrewatch.history.database import Damaged, Gone, Unavailable
from genrewatch.history.delivery import Delivery, HistoryTransport
from genrewatch.history.ring import Judged
from genrewatch.history.spell import Spell
from genrewatch.history.store import HistoryStore
from genrewatch.host.times import ms_to_rfc3339, now

MOST_WAITING = 10_000
"""Spells that may wait in memory for a disk that takes none."""
RETRY_S = 5.0
"""Between attempts to write to such a disk."""
PRUNE_S = 60.0
PRUNE_MORE_S = 1.0
HANGS_S = 30.0
"""After which a disk that does not answer is said to hang."""
GATHER_S = 0.05
"""After a spell has ended, for others that end with it."""
FLUSH_S = 1.0
"""How long the end waits for the broker to have the last spells."""

log = logging.getLogger("genrewatch")


@dataclass(kw_only=True)
class News:
    """What has happened since the keeper last asked."""

    ended: list[Spell] = field(default_factory=list)
    drafts: list[Spell] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)


class HistoryWriter:
    """Keeps the spells of one node in `path`, and has them delivered by `transport`, if there is one."""

    def __init__(
        self,
        path: Path,
        node: str,
        config: HistoryConfig,
        transport: HistoryTransport | None,
        collect: Callable[[], News],
    ) -> None:
        self._path, self._node, self._config = path, node, config
        self._collect = collect
        self._delivery = Delivery(transport, per_s=config.backfill_per_s) if transport else None
        self._store: HistoryStore | None = None
        self._ended: deque[Spell] = deque()
        self._judged: deque[Judged] = deque(maxlen=min(MOST_WAITING, config.posteriors))
        self._drafts: list[Spell] = []
        self._saved: list[Spell] = []  # drafts, as they were written last
        self._wake, self._closing = threading.Event(), threading.Event()
        self._opened_s = 0.0
        self._busy_since: float | None = None
        self._next_save = self._next_prune = self._next_try = 0.0
        self.degraded: str | None = None
        """Why nothing can be written at present."""
        self._facts: dict[str, Any] = {
            "stored": 0,
            "waiting": 0,
            "head": None,
            "set_aside": None,
            "posteriors_dropped": 0,
        }
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to keep or to deliver."""
        self._wake.set()

    def close(self) -> None:
        """Keeps and delivers what there is, within a moment, and lets go."""
        self._closing.set()
        self._wake.set()
        self._thread.join(2 * FLUSH_S)

    @property
    def trouble(self) -> str | None:
        """What is wrong, for people."""
        since = self._busy_since
        if since is not None and time.monotonic() - since > HANGS_S:
            return f"the disk has not answered for {time.monotonic() - since:.0f} s"
        return self.degraded

    def facts(self) -> dict[str, Any]:
        """How many records there are and wait to be delivered, how many were lost, and the newest hash."""
        return {**self._facts, "unsaved": len(self._ended), "dropped": self._dropped}

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(self._pause_s())
            self._closing.wait(GATHER_S)
            self._wake.clear()
            self._turn()
        self._next_save = self._next_try = 0.0
        self._turn()
        self._part()

    def _turn(self) -> None:
        """Keeps, delivers and tidies up, as far as each is due."""
        self._take(self._collect())
        if time.monotonic() < self._next_try:
            return
        self._busy_since = time.monotonic()
        self._try()
        self._busy_since = None

    def _try(self) -> None:
        try:
            if self._store is None:
                self._store = self._opened()
            self._save(self._store)
            if self._delivery:
                self._delivery.turn(self._store)
            self._prune(self._store)
            self._note(self._store)
        except Unavailable as exc:
            if isinstance(exc, Gone):
                self._release()
            self._fail(str(exc))
        except Damaged as exc:
            self._set_aside(str(exc))
        except Exception as exc:  # of ours; the thread must not die of it, unseen, for months
            if self.degraded is None:
                log.exception("a defect of the history")
            self._release()
            self._fail(f"a defect, {exc!r}")

    def _opened(self) -> HistoryStore:
        self._opened_s = time.monotonic()
        deliver = self._delivery is not None
        return HistoryStore(self._path, self._node, deliver=deliver, posteriors=self._config.posteriors)

    def _take(self, news: News) -> None:
        self._ended.extend(news.ended)
        self._facts["posteriors_dropped"] += max(0, len(self._judged) + len(news.judged) - (self._judged.maxlen or 0))
        self._judged.extend(news.judged)
        self._drafts = news.drafts
        while len(self._ended) > MOST_WAITING:
            self._ended.popleft()
            self._dropped += 1

    def _save(self, store: HistoryStore) -> None:
        due = time.monotonic() >= self._next_save or 2 * len(self._judged) > MOST_WAITING
        if self._ended or (due and (self._judged or self._drafts != self._saved)):
            store.append(list(self._ended), self._drafts, list(self._judged))
            self._ended.clear()
            self._judged.clear()
            self._saved = self._drafts
        if time.monotonic() >= self._next_save:
            self._next_save = time.monotonic() + self._config.save_s

    def _prune(self, store: HistoryStore) -> None:
        if time.monotonic() < self._next_prune:
            return
        limits = {"keep_days": self._config.keep_days, "max_bytes": self._config.max_mb * 1_000_000}
        more, dropped = store.prune(now_ms=self._cautious_now_ms(store), **limits)
        self._dropped += dropped
        self._next_prune = time.monotonic() + (PRUNE_MORE_S if more else PRUNE_S)

    def _cautious_now_ms(self, store: HistoryStore) -> int:
        """The time, but no later than the newest spell of before and how long we have run since: a wall clock that is
        set years ahead must not make a whole history too old."""
        now_ms = now().utc_ms
        if store.newest_end_ms is None:
            return now_ms
        return min(now_ms, store.newest_end_ms + round(1000 * (time.monotonic() - self._opened_s)))

    def _note(self, store: HistoryStore) -> None:
        self._facts |= {"stored": store.stored, "waiting": store.waiting, "head": store.head}
        if self.degraded:
            log.warning("the history can be written again: %s", self._path)
            self.degraded = None

    def _fail(self, why: str) -> None:
        if self.degraded is None:
            log.error("the history cannot be written (%s: %s); what ends meanwhile waits in memory", self._path, why)
        self.degraded = why
        self._next_try = time.monotonic() + RETRY_S

    def _set_aside(self, why: str) -> None:
        """Makes way for a new database, without a pause; whoever looks after the box finds the old one beside it."""
        self._release()
        stamp = ms_to_rfc3339(now().utc_ms)[:19].replace(":", "")
        aside = self._path.with_name(f"{self._path.stem}.damaged-{stamp}Z.db")
        try:
            for suffix in ("", "-wal", "-shm"):
                part = self._path.with_name(self._path.name + suffix)
                if part.exists():
                    part.replace(aside.with_name(aside.name + suffix))
        except OSError as exc:
            self._fail(f"damaged ({why}), and cannot be set aside: {os_error_reason(exc)}")
            return
        log.error("the history %s is damaged (%s): set aside as %s, a new one is begun", self._path, why, aside.name)
        self._facts["set_aside"] = aside.name
        self._wake.set()

    def _release(self) -> None:
        if self._store:
            try:
                self._store.close()
            except (Unavailable, Damaged):
                pass  # it is given up anyway
        self._store = None

    def _part(self) -> None:
        """Waits a moment for the broker to have the last spells, and closes the file."""
        deadline = time.monotonic() + FLUSH_S
        while self._store and self._store.waiting and self._delivery and self._delivery.linked:
            if time.monotonic() > deadline:
                break
            self._wake.wait(0.02)
            self._wake.clear()
            self._turn()
        self._release()

    def _pause_s(self) -> float:
        """Until there is something to do, if nobody wakes us."""
        due = min(self._next_save, self._next_prune) if self._store else self._next_try
        if self._delivery and self._store:
            due = min(due, self._delivery.next_turn)
        return max(GATHER_S, due - time.monotonic())

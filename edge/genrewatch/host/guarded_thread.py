"""The one way to run a part of the daemon in a thread: a defect is logged with its traceback, and the part restarts.

Without it an unforeseen exception would end the thread, and the part would be silent from then on without a word.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from genrewatch.host.backoff import Backoff

STUCK_S = 60.0
"""Duration of one piece of work after which the thread counts as stuck."""
REPORT_S = 600.0
"""Time for which `problem` reports a defect; after as long without another one the backoff starts again."""

log = logging.getLogger("genrewatch")


class GuardedThread:
    """A daemon thread that calls `run`, and calls it again after a pause if it raises."""

    def __init__(
        self, name: str, run: Callable[[], None], *, stuck_s: float = STUCK_S, backoff: Backoff | None = None
    ) -> None:
        """`stuck_s` is the longest time between two calls of `progress` while there is work."""
        self.name, self._target, self._stuck_s = name, run, stuck_s
        self._backoff, self._rng = backoff or Backoff(), random.Random()
        self._closing, self._started = threading.Event(), False
        self._busy_since: float | None = None
        self._ended = False
        self.defects = DefectLog(name)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._started = True
        self._thread.start()

    def is_alive(self) -> bool:
        """Return whether the thread runs, or waits to be restarted."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of `run`, which from now on is not restarted."""
        self._closing.set()
        if self._started:
            self._thread.join(timeout_s)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Mark a piece of work, which should take less than `stuck_s`."""
        self._busy_since = time.monotonic()
        try:
            yield
        finally:
            self._busy_since = None

    @property
    def problem(self) -> str | None:
        """A thread that is stuck, has died or had a defect lately, as text for people; None when all is well."""
        since = self._busy_since
        if since is not None and (stuck_s := time.monotonic() - since) > self._stuck_s:
            return f"{self.name}: its thread has made no progress for {stuck_s:.0f} s"
        if self._started and not self._ended and not self._thread.is_alive():
            return f"{self.name}: its thread has died"
        return self.defects.problem

    def _run(self) -> None:
        while True:
            try:
                self._target()
                break
            except Exception as exc:
                failures = self.defects.add(exc)
            self._busy_since = None
            if self._closing.wait(self._backoff.delay_s(failures, self._rng)):
                break
        self._ended = True


class DefectLog:
    """The defects of one part: each is logged with its traceback once, and the newest one reported for a while."""

    def __init__(self, name: str) -> None:
        self._name, self._logged = name, set[str]()
        self._newest: tuple[float, str] | None = None
        self._in_a_row = 0

    @property
    def problem(self) -> str | None:
        """The newest defect as text for people; None when there was none for `REPORT_S`."""
        newest = self._newest
        if newest is None or time.monotonic() - newest[0] > REPORT_S:
            return None
        return f"{self._name}: a defect of genrewatch ({newest[1]}), see the log"

    def add(self, exc: BaseException) -> int:
        """Log a defect unless the same one was logged before; return how many came without a long pause between."""
        place = _place(exc)
        if place not in self._logged and len(self._logged) < 100:
            self._logged.add(place)
            log.error("a defect in %s; the same one is not logged again", self._name, exc_info=exc)
        self._in_a_row = self._in_a_row + 1 if self.problem else 1
        self._newest = time.monotonic(), type(exc).__name__
        return self._in_a_row


def _place(exc: BaseException) -> str:
    """Return the type of an exception and the line that raised it."""
    at = exc.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return type(exc).__name__ + (f" {at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else "")

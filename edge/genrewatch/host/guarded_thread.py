"""The one way to run a part of the daemon in a thread: a defect is logged with its traceback, and the part restarts.

Without it an unforeseen exception would end the thread, and the part would be silent from then on without a word. What
runs once or in a thread of a library goes through `DefectLog.guarded`; the last resort is `threading.excepthook`.
"""

import errno
import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from genrewatch.host.backoff import Backoff
from genrewatch.host.defects import DefectLog
from genrewatch.host.progress import STUCK_S, Progress


class GuardedThread:
    """A daemon thread that calls `run`, and calls it again after a pause if it raises."""

    def __init__(
        self, name: str, run: Callable[[], None], *, stuck_s: float = STUCK_S, backoff: Backoff | None = None
    ) -> None:
        """`stuck_s` is the longest time that one piece of `working` should take."""
        self.name, self._target = name, run
        self._backoff, self._rng = backoff or Backoff(), random.Random()
        self._closing, self._started, self._ended = threading.Event(), False, False
        self.progress, self.defects = Progress(name, stuck_s=stuck_s), DefectLog(name)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; OSError when the system has none left."""
        try:
            self._thread.start()
        except RuntimeError:
            raise OSError(errno.EAGAIN, "no thread can be started") from None
        self._started = True

    def is_alive(self) -> bool:
        """Return whether the thread runs, or waits to be restarted."""
        return self._thread.is_alive()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end of `run`, which from now on is not restarted."""
        self._closing.set()
        if self._started:
            self._thread.join(timeout_s)

    def working(self) -> AbstractContextManager[None]:
        """Mark a piece of work."""
        return self.progress.working()

    @property
    def stuck(self) -> bool:
        """True if the thread has died or makes no progress, which no restart of `run` mends."""
        died = self._started and not self._ended and not self._thread.is_alive()
        return died or self.progress.stuck_for_s is not None

    @property
    def problem(self) -> str | None:
        """A thread that is stuck, has died or had a defect lately, as text for people; None when all is well."""
        if self._started and not self._ended and not self._thread.is_alive():
            return f"{self.name}: its thread has died"
        return self.progress.problem or self.defects.problem

    def _run(self) -> None:
        while True:
            try:
                self._target()
                break
            except Exception as exc:
                failures = self.defects.add(exc)
            if self._closing.wait(self._backoff.delay_s(failures, self._rng)):
                break
        self._ended = True

"""The watchdog of the main loop: without it a stuck main loop could not report that it is stuck.

All other threads mark their progress too (`GuardedThread.working`), and `degraded` lists those that make none.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Callable

from genrewatch.host.guarded_thread import GuardedThread
from genrewatch.host.progress import Progress

LOOK_S = 10.0
"""Time between two looks."""

log = logging.getLogger("genrewatch")


class Watchdog:
    """A thread that watches the main loop's progress."""

    def __init__(self, progress: Progress, on_stuck: Callable[[], None]) -> None:
        """`on_stuck` publishes the health in place of the main loop, at each look at which it makes no progress."""
        self._progress, self._on_stuck = progress, on_stuck
        self._closing, self._reported = threading.Event(), False
        self.thread = GuardedThread("watchdog", self._run)

    def start(self) -> None:
        """Start to watch; OSError when no thread is left."""
        self.thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        self.thread.join(1.0)

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        problem = self._progress.problem
        if problem is None:
            if self._reported:
                log.warning("the main loop makes progress again")
            self._reported = False
            return
        if not self._reported:
            log.error("%s; it is here:\n%s", problem, _stack_of_main_thread())
        self._reported = True
        self._on_stuck()


def _stack_of_main_thread() -> str:
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    return "".join(traceback.format_stack(frame)) if frame else "not known"

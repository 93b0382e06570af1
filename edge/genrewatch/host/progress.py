"""The progress of one thread: it marks each piece of work, which costs a reading of the clock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

STUCK_S = 60.0
"""Duration of one piece of work after which its thread counts as stuck."""


class Progress:
    """The present piece of work of one thread; other threads may read it."""

    def __init__(self, name: str, *, stuck_s: float = STUCK_S) -> None:
        """`name` is the thread's, for people; `stuck_s` is the longest time that one piece of work should take."""
        self._name, self._stuck_s = name, stuck_s
        self._busy_since: float | None = None

    @contextmanager
    def working(self) -> Iterator[None]:
        """Mark a piece of work."""
        self._busy_since = time.monotonic()
        try:
            yield
        finally:
            self._busy_since = None

    @property
    def stuck_for_s(self) -> float | None:
        """Seconds that the present piece of work has taken, if that is too long; else None."""
        since = self._busy_since
        busy_s = 0.0 if since is None else time.monotonic() - since
        return busy_s if busy_s > self._stuck_s else None

    @property
    def problem(self) -> str | None:
        """The lack of progress as text for people; None when all is well."""
        stuck_s = self.stuck_for_s
        return None if stuck_s is None else f"{self._name}: its thread has made no progress for {stuck_s:.0f} s"

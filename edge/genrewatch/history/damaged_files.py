"""Damaged databases, each of which is moved aside; a disk that damages each new one must not be filled with them."""

import logging
import time
from collections import deque
from pathlib import Path

from genrewatch.contract.errors import os_error_reason
from genrewatch.history.database import move_aside

MAX_DAMAGED = 3
"""Databases moved aside within `DAMAGED_S`."""
DAMAGED_S = 3600.0

log = logging.getLogger("genrewatch")


class DamagedFiles:
    """Moves the damaged database at one path aside."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._moved_s: deque[float] = deque(maxlen=MAX_DAMAGED)  # monotonic times
        self.newest: str | None = None
        """File name of the last one; None if there is none."""
        self.problem: str | None = None
        """The last one as text for people."""

    def move(self, reason: str, at: str) -> str | None:
        """Move the file aside at a time in RFC 3339; return why that cannot be done, None if it was."""
        if len(self._moved_s) == MAX_DAMAGED and time.monotonic() - self._moved_s[0] < DAMAGED_S:
            return f"damaged again ({reason}); {MAX_DAMAGED} files were moved aside within an hour"
        try:
            self.newest = move_aside(self._path, at).name
        except OSError as exc:
            return f"damaged ({reason}), and cannot be moved aside: {os_error_reason(exc)}"
        self._moved_s.append(time.monotonic())
        self.problem = f"the file was damaged ({reason}): it was moved to {self.newest}, and a new one was created"
        log.error("the history %s is damaged (%s): moved to %s, a new one is created", self._path, reason, self.newest)
        return None

"""The last lines of the log, kept in memory for the diagnosis file."""

import logging
from collections import deque

MAX_LINES = 500
MAX_CHARACTERS = 2000


class RecentLines(logging.Handler):
    """A log handler that keeps the last lines, bounded in number and length."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = deque[str](maxlen=MAX_LINES)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record's line."""
        try:
            self._lines.append(self.format(record)[:MAX_CHARACTERS])
        except Exception:  # a record whose arguments do not fit its text, as in every handler of the library
            self.handleError(record)

    def lines(self) -> list[str]:
        """Return the lines, the oldest first."""
        return list(self._lines)

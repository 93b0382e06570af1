"""A small file beside the database that keeps each `seq` unique, even when the database is lost or an old copy returns.

It holds a number that no `seq` of the node has exceeded, followed by `closed` if it is the last one assigned.
"""

from pathlib import Path

from genrewatch.history.schema import MAX_NUMBER
from genrewatch.host.paths import write_durably
from genrewatch.host.private_files import make_private_file

RESERVE = 1000
"""Numbers reserved at a time, so that the file is rarely written."""
CLOSED = "closed"
MAX_CHARACTERS = 100


class ReservedSeq:
    """The file `history-NODE.seq`."""

    def __init__(self, database: Path) -> None:
        """Read the file beside `database`; a missing or unreadable one counts as 0."""
        self._path = database.with_suffix(".seq")
        try:
            make_private_file(self._path)
            with self._path.open(encoding="ascii") as file:
                number, _, word = file.read(MAX_CHARACTERS).strip().partition(" ")
            self.limit, self._closed = int(number), word == CLOSED
        except (FileNotFoundError, ValueError):
            self.limit, self._closed = 0, False
        if not 0 <= self.limit <= MAX_NUMBER:
            self.limit, self._closed = 0, False

    def continue_from(self, last: int) -> int:
        """Return the number after which to go on, given the last one in the database.

        An old copy of the database lacks numbers that were assigned later; then that is `limit`.
        """
        oldest = self.limit - (0 if self._closed else RESERVE + 1)
        return self.limit if last < oldest else last

    def reserve(self, seq: int) -> None:
        """Write a higher limit before `seq` is assigned, if it is above the limit."""
        if seq > self.limit:
            write_durably(self._path, f"{seq + RESERVE}\n")
            self.limit = seq + RESERVE

    def close(self, last: int) -> None:
        """Write the last number assigned."""
        write_durably(self._path, f"{last} {CLOSED}\n")

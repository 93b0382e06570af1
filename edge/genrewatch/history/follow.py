"""Following of a history beside a running daemon, also across a new database."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from genrewatch.history.database import Damaged, Unavailable
from genrewatch.history.reader import HistoryReader, Selection
from genrewatch.history.record import Record

POLL_S = 0.5
"""Seconds between two reads."""


def follow(
    path: Path,
    selection: Selection,
    after_seq: int,
    on_problem: Callable[[str], None],
    *,
    corrections: bool = False,
) -> Iterator[list[Record]]:
    """Yield the selected records after `after_seq` as they are stored, without end.

    While the database is damaged or missing, wait for it; `on_problem` gets the reason once per outage.
    """
    last_seq, reported = after_seq, False
    while True:
        identity = _identity(path)  # read before opening, so that a file replaced in between is noticed
        try:
            with closing(HistoryReader(path)) as reader:
                reported = False
                last_seq = min(last_seq, reader.newest_seq)  # lower in a database whose numbers start again
                replaced = False
                while not replaced:
                    replaced = _identity(path) != identity  # read first: the last records of the old file are read too
                    for page in reader.pages(selection, last_seq, corrections=corrections):
                        yield page
                        last_seq = page[-1]["seq"]
                    time.sleep(0 if replaced else POLL_S)
        except (Damaged, Unavailable) as exc:
            if not reported:
                on_problem(str(exc))
            reported = True
            time.sleep(POLL_S)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file, None if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino

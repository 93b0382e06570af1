"""Waits beside a running daemon for the spells that end, and stays with it when it begins a new database."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from genrewatch.history.database import Damaged, Unavailable
from genrewatch.history.reading import Log, Record, Selection

POLL_S = 0.5
"""Between two looks."""


def follow(path: Path, selection: Selection, after_seq: int, trouble: Callable[[str], None]) -> Iterator[list[Record]]:
    """The selected records beyond a `seq`, as they come, for ever.

    A database that is damaged, or not there, is waited for; `trouble` is told why, once each time.
    """
    seen, quiet = after_seq, False
    while True:
        identity = _identity(path)  # before it is opened: should it be another by then, that is noticed
        try:
            with closing(Log(path)) as log:
                quiet = False
                seen = min(seen, log.newest_seq)  # less, where the numbers begin anew
                replaced = False
                while not replaced:
                    replaced = _identity(path) != identity  # asked first: what the old one got last is not missed
                    for page in log.pages(selection, seen):
                        yield page
                        seen = page[-1]["seq"]
                    time.sleep(0 if replaced else POLL_S)
        except (Damaged, Unavailable) as exc:
            if not quiet:
                trouble(str(exc))
            quiet = True
            time.sleep(POLL_S)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is, whatever its name."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino

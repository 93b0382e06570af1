"""Progress of long work: a bar on a terminal, a line a minute in a log."""

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm

LOG_EVERY_S = 60.0
REDRAW_EVERY_S = 0.5


class _Lines:
    """A stream that turns each redrawing of a bar into a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if shown := text.strip("\r\n "):
            self._stream.write(shown + "\n")

    def flush(self) -> None:
        self._stream.flush()


def progress(work: Iterable[Any] | None = None, *, total: int, unit: str, done: int = 0, name: str = "") -> Any:
    """Return a tqdm bar over `work`, or one to update by hand; `total` and `done` count `unit`s."""
    terminal = sys.stderr.isatty()
    seconds = REDRAW_EVERY_S if terminal else LOG_EVERY_S
    file = sys.stderr if terminal else _Lines(sys.stderr)
    return tqdm(
        work,
        desc=name,
        total=total,
        initial=done,
        unit=unit,
        file=file,
        mininterval=seconds,
        maxinterval=2 * seconds,
    )

"""A line in the terminal with the level of each source, which each segment overwrites: does the microphone receive
anything?
"""

import threading

from genrewatch.host.line_writer import LineWriter
from genrewatch.inference.pipeline import SegmentResult
from genrewatch.sinks.sink import Sink

CELLS, QUIETEST_DBFS = 12, -60.0
MAX_SOURCES = 3
CLEAR = "\r\x1b[K"
"""Erases the line in a terminal; precedes every other line."""


class LevelLine(Sink):
    """Writes the line on the terminal."""

    def __init__(self, lines: LineWriter) -> None:
        self._lines, self._lock = lines, threading.Lock()
        self._bars: dict[str, str] = {}

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """See `Sink`."""
        self._show(source_id, level_bar(result.level.dbfs))

    def on_availability(self, source_id: str, online: bool, why: str) -> None:
        """See `Sink`."""
        if not online:
            with self._lock:
                self._bars.pop(source_id, None)

    def _show(self, source_id: str, bar: str) -> None:
        with self._lock:
            self._bars[source_id] = bar
            text = "   ".join(f"{name} {bar}" for name, bar in list(self._bars.items())[:MAX_SOURCES])
        self._lines.put(text, end="")


def level_bar(dbfs: float | None) -> str:
    """Return a level as a bar: `▮▮▮▮▮▮▮▯▯▯▯▯ -25 dBFS`."""
    if dbfs is None:
        return "▯" * CELLS + " digital silence"
    filled = round(CELLS * max(0.0, min(1.0, 1 - dbfs / QUIETEST_DBFS)))
    return "▮" * filled + "▯" * (CELLS - filled) + f" {dbfs:.0f} dBFS"

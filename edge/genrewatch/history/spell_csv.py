"""Spells as CSV: the same columns for `genrewatch history` and the web API."""

import csv
import json
from collections.abc import Iterable
from typing import TextIO

from genrewatch.history.reader import Record

COLUMNS = [
    *("seq", "node", "source", "name", "genre", "reason", "dead_air", "confidence", "share", "votes", "segments"),
    *("start", "end", "start_s", "end_s", "heard_s", "lost_s", "continues", "interrupted"),
    *("run", "mono_start_s", "mono_end_s", "clock_step_s", "model", "version", "v", "open", "prev", "hash"),
]


class SpellCsv:
    """Writes a header, then records."""

    def __init__(self, file: TextIO) -> None:
        self._out = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        self._out.writeheader()

    def write(self, records: Iterable[Record]) -> None:
        """Write a line for each record."""
        for record in records:
            self._out.writerow({key: _cell(record.get(key)) for key in COLUMNS})


def _cell(value: object) -> object:
    """Return the value as in JSON, but None as an empty cell and text without quotes."""
    return value if value is None or isinstance(value, str) else json.dumps(value)

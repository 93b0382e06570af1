"""Spells as CSV: the same columns for `genrewatch history` and the web API."""

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

from genrewatch.history.record import Record
from genrewatch.host.untrusted_text import csv_cell

COLUMNS = [
    *("seq", "node", "source", "name", "genre", "reason", "dead_air", "confidence", "share", "votes", "segments"),
    *("start", "end", "start_s", "end_s", "heard_s", "lost_s", "continues", "interrupted"),
    *("run", "mono_start_s", "mono_end_s", "clock_step_s", "model", "version", "v", "open", "prev", "hash"),
]


class SpellCsv:
    """Writes a header, then records."""

    def __init__(self, file: TextIO, more: Sequence[str] = ()) -> None:
        """`more` are fields for further columns."""
        self._columns = [*COLUMNS, *more]
        self._out = csv.DictWriter(file, self._columns, extrasaction="ignore", lineterminator="\n")
        self._out.writeheader()

    def write(self, records: Iterable[Record]) -> None:
        """Write a line for each record."""
        for record in records:
            self._out.writerow({key: csv_cell(record.get(key)) for key in self._columns})

"""Spells and reports for the API, read from the database beside its writer as the commands read it."""

import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from genrewatch.contract.errors import ConfigError
from genrewatch.contract.ids import is_id
from genrewatch.contract.payload import SCHEMA_VERSION
from genrewatch.history.database import Damaged, Unavailable
from genrewatch.history.reader import HistoryReader, Selection
from genrewatch.history.record import Record
from genrewatch.history.reports.report import By, Report
from genrewatch.history.reports.report_fields import read_report, report_fields, write_report_csv
from genrewatch.history.spell_csv import SpellCsv
from genrewatch.history.time_text import parse_time
from genrewatch.host.times import now
from genrewatch.sinks.web.guard import Refused

MAX_SPELLS = 1000
"""Spells in one answer."""
MAX_CSV_SPELLS = 200_000
WAIT_S = 10.0
"""Longest wait for another request that reads the history: they take turns, so that listening keeps the processor."""

Query = Mapping[str, str]


class HistoryApi:
    """Answers queries about the history of one node."""

    def __init__(self, path: Path | None, node: str) -> None:
        """`path` is the database; None where no history is kept."""
        self.path, self._node = path, node
        self._turn = threading.Lock()

    def spells(self, query: Query) -> dict[str, Any]:
        """Return a page of spells, the oldest first; `next` is `after` of the next page."""
        limit = whole_number(query, "limit", 100, 1, MAX_SPELLS)
        after = whole_number(query, "after", 0, 0, 2**62)
        wanted, with_open = _Wanted.of(query), query.get("open", "yes")
        if with_open not in ("yes", "no"):
            raise Refused("400 Bad Request", "open: expected yes or no")
        with self.reader() as reader:
            found, more = wanted.ended(reader, after, limit)
            if not more and with_open == "yes":
                found += [record for record in reader.open_spells(wanted.selection) if wanted.matches(record)]
        following = found[limit - 1]["seq"] if more else None
        return {"v": SCHEMA_VERSION, "node": self._node, "spells": found, "next": following}

    def spells_csv(self, query: Query) -> Iterator[bytes]:
        """Yield spells as CSV."""
        wanted, file = _Wanted.of(query), io.StringIO()
        with self.reader() as reader:
            out, written = SpellCsv(file), 0
            for page in chain(reader.pages(wanted.selection), [reader.open_spells(wanted.selection)]):
                matching = [record for record in page if wanted.matches(record)]
                out.write(matching)
                written += len(matching)
                yield file.getvalue().encode()
                file.seek(0)
                file.truncate()
                if written >= MAX_CSV_SPELLS:
                    return

    def report(self, query: Query) -> dict[str, Any]:
        """Return the airtime, the same numbers as `genrewatch report --json`."""
        report = self._report(query)
        return {"v": SCHEMA_VERSION, "node": self._node, "by": report.by, **report_fields(report)}

    def report_csv(self, query: Query) -> Iterator[bytes]:
        """Yield the airtime as CSV, the same as `genrewatch report --csv`."""
        file = io.StringIO()
        write_report_csv(self._report(query), file)
        yield file.getvalue().encode()

    def _report(self, query: Query) -> Report:
        by = query.get("by", "day")
        if by not in get_args(By):
            raise Refused("400 Bad Request", "by: expected hour, day, week, month or source")
        with self.reader() as reader:
            return read_report(reader, by, _Wanted.of(query).selection)  # type: ignore[arg-type]

    @contextmanager
    def reader(self) -> Iterator[HistoryReader]:
        """Open the history while no other request reads it; raises Refused."""
        if self.path is None:
            raise Refused("404 Not Found", "no history is kept: history.enabled is false")
        if not self._turn.acquire(timeout=WAIT_S):
            raise Refused("503 Service Unavailable", "another request reads the history", (("Retry-After", "10"),))
        try:
            with closing(HistoryReader(self.path)) as reader:
                yield reader
        except (Damaged, Unavailable) as exc:
            raise Refused("503 Service Unavailable", f"the history cannot be read ({exc})") from None
        finally:
            self._turn.release()


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """The spells that a query asks for."""

    selection: Selection
    verdict: str | None
    """A genre, or a reason without a genre."""

    @classmethod
    def of(cls, query: Query) -> "_Wanted":
        """Read `since`, `until`, `source` (ids joined by commas) and `verdict`; raises Refused."""
        try:
            since, until = (
                parse_time(query[key], key, now().utc_ms) if key in query else None for key in ("since", "until")
            )
        except ConfigError as exc:
            raise Refused("400 Bad Request", str(exc)) from None
        if since is not None and until is not None and until <= since:
            raise Refused("400 Bad Request", "until: expected a time after since")
        sources = tuple(name for name in query.get("source", "").split(",") if name)
        if not all(map(is_id, sources)) or len(sources) > 200:
            raise Refused("400 Bad Request", "source: expected ids joined by commas")
        selection = Selection(since_ms=since, until_ms=until, sources=sources)
        return cls(selection=selection, verdict=query.get("verdict"))

    def matches(self, record: Record) -> bool:
        """Return whether a spell has the verdict."""
        return self.verdict is None or self.verdict == (record["genre"] or record["reason"])

    def ended(self, reader: HistoryReader, after: int, limit: int) -> tuple[list[Record], bool]:
        """Return up to `limit` spells after a `seq`, and whether there are more."""
        found: list[Record] = []
        for page in reader.pages(self.selection, after):
            found += [record for record in page if self.matches(record)]
            if len(found) > limit:
                return found[:limit], True
        return found, False


def whole_number(query: Query, key: str, default: int, least: int, most: int) -> int:
    """Return a number of a query; raises Refused."""
    text = query.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= most):
        raise Refused("400 Bad Request", f"{key}: expected {least} to {most}")
    return int(text)

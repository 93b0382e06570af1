"""The corrections that the writer of a history keeps and stores in the chain."""

import logging
import os
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrewatch.contract.errors import DataError
from genrewatch.history.corrections import Correction, Corrections, corrections_path
from genrewatch.history.spell import Spell
from genrewatch.history.store import HistoryStore
from genrewatch.host.times import Timestamp

MAX_REQUESTS = 100
"""Corrections received that wait for the disk; further ones replace the oldest."""

log = logging.getLogger("genrewatch")


@dataclass(frozen=True, kw_only=True)
class CorrectionRequest:
    """A correction that was received and is not kept yet."""

    source: str
    seq: int | None
    """None for the spell that goes on now."""
    label: str | None


class CorrectionInbox:
    """The corrections of one node on their way into the chain; used by the thread of the writer only."""

    def __init__(self, database: Path) -> None:
        self._corrections = Corrections(corrections_path(database))
        self._requests: deque[CorrectionRequest] = deque(maxlen=MAX_REQUESTS)
        self._imported: tuple[int, ...] | None = None  # state of the file when it was last read
        self.refused: str | None = None
        """Why the last correction received was refused; None if it was kept."""
        self.problem: str | None = None
        """Why the file cannot be read, as text for people."""

    def add(self, requests: Iterable[CorrectionRequest]) -> None:
        """Take requests over."""
        self._requests.extend(requests)

    def run(self, store: HistoryStore, open_spells: Sequence[Spell], at: Timestamp) -> None:
        """Keep what was received, and store the new lines of the file; raises Unavailable or Damaged."""
        while self._requests:
            self._keep(self._requests[0], store, open_spells)
            self._requests.popleft()
        if (state := self._state()) == self._imported:
            return
        try:
            made = self._corrections.read()
            self.problem = None
        except DataError as exc:
            if self.problem is None:
                log.error("%s", exc)
            self.problem, made = str(exc), []
        if made:
            store.append_corrections(made, at)
        self._imported = state

    def forget(self) -> None:
        """Read the file again, for another database."""
        self._imported = None

    def _keep(self, wanted: CorrectionRequest, store: HistoryStore, open_spells: Sequence[Spell]) -> None:
        """Add a request to the file, or log why it is refused."""
        spell = _open_spell(wanted.source, open_spells)
        if wanted.seq is not None:
            spell = store.spell(wanted.seq, wanted.source)
        which = "no spell goes on" if wanted.seq is None else f"no spell {wanted.seq}"
        self.refused = None if spell else f"{wanted.source}/correct/set: {which}"
        if spell:
            try:
                self._corrections.add(Correction.of_spell(spell, wanted.label, "mqtt"))
            except DataError as exc:
                self.refused = str(exc)
        if self.refused:
            log.error("a correction is refused: %s", self.refused)

    def _state(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self._corrections.path)
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


def _open_spell(source: str, open_spells: Sequence[Spell]) -> dict[str, Any] | None:
    found = next((spell.fields() for spell in open_spells if spell.context.source == source), None)
    return None if found is None else {**found, "open": True}

"""Corrections as records of the hash chain, and the present corrections of a history.

A correction enters through the file of `corrections.py`, which any process may append to. The writer of the database
stores each line once as a record of the chain, so it has a `seq`, a hash and its delivery like a spell. Such a record
has every field of a spell, with a length of 0, so that versions before it read the database, and sums stay the same.
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genrewatch.contract.payload import SCHEMA_VERSION
from genrewatch.history.corrections import Correction, Corrections, corrections_path, parsed_correction
from genrewatch.history.reader import HistoryReader
from genrewatch.history.record import CORRECTION, Record
from genrewatch.host.times import Timestamp, ms_to_rfc3339

_NO_SOUND = dict.fromkeys(("segments", "start_s", "end_s", "heard_s", "lost_s"), 0)
_NO_TIME = dict.fromkeys(("mono_start_s", "mono_end_s", "clock_step_s"), 0)
_NO_VERDICT: dict[str, Any] = {"genre": None, "reason": CORRECTION, "confidence": None, "share": None, "votes": {}}
_FLAGS = dict.fromkeys(("dead_air", "continues", "interrupted"), False)
_NO_LENGTH = _NO_VERDICT | _NO_SOUND | _NO_TIME | _FLAGS | {"run": CORRECTION}
NO_GENRE_LABELS = ("silence", "not_music")
"""Labels that are reasons of a spell without a genre."""


def line_hash(made: Correction) -> str:
    """Return the hexadecimal hash by which a line of the file is stored only once."""
    return hashlib.sha256(json.dumps(asdict(made), sort_keys=True).encode()).hexdigest()


def correction_fields(made: Correction, node: str, spell: Mapping[str, Any] | None, at: Timestamp) -> dict[str, Any]:
    """Return the fields of the record, without `seq` and hashes; `spell` is the record it is about, if it is kept."""
    spell, time = spell or {}, ms_to_rfc3339(at.utc_ms)
    return {
        "v": SCHEMA_VERSION,
        "node": node,
        "source": made.source,
        "name": spell.get("name", made.source),
        "kind": CORRECTION,
        "corrects": made.seq,
        "label": made.label,
        "by": made.by,
        "made": made.ts,
        "spell_start": made.start,
        "spell_end": made.end,
        "spell_genre": made.genre,
        "spell_reason": made.reason,
        "spell_hash": spell.get("hash"),
        **_NO_LENGTH,
        "start": time,
        "end": time,
        "model": spell.get("model", ""),
        "version": spell.get("version", ""),
    }


def correction_of(record: Record) -> Correction | None:
    """Return the correction of a record of the chain; None if it holds none."""
    keys = {"ts": "made", "seq": "corrects", "start": "spell_start", "end": "spell_end"}
    keys |= {"genre": "spell_genre", "reason": "spell_reason", "source": "source", "label": "label", "by": "by"}
    return parsed_correction({name: record.get(key) for name, key in keys.items()})


def present_corrections(database: Path, reader: HistoryReader) -> list[Correction]:
    """Return the newest correction of each spell, of the chain and of the file, without what was withdrawn.

    Raises DataError, Unavailable or Damaged.
    """
    made = [*stored_corrections(reader), *Corrections(corrections_path(database)).read()]
    newest = {one.key: one for one in sorted(made, key=lambda one: one.ts)}
    return [one for one in newest.values() if one.label is not None]


def stored_corrections(reader: HistoryReader) -> list[Correction]:
    """Return the corrections of the chain, the oldest first; raises Unavailable or Damaged."""
    found = [correction_of(record) for record in reader.correction_records()]
    return [made for made in found if made is not None]


def corrected(record: Record, labels: Mapping[tuple[str, int | str], str]) -> Record:
    """Return a spell with the genre that it was corrected to; `labels` are by key."""
    label = with_label(record, labels)["corrected"]
    if label is None:
        return record
    genre, reason = (None, label) if label in NO_GENRE_LABELS else (label, "majority")
    return {**record, "genre": genre, "reason": reason, "confidence": None, "corrected": label}


def with_label(record: Record, labels: Mapping[tuple[str, int | str], str]) -> Record:
    """Return a spell with the label that it was corrected to, or None, in `corrected`."""
    label = labels.get((record["source"], record.get("seq") or record["start"])) or labels.get(
        (record["source"], record["start"])
    )
    return {**record, "corrected": label}


def corrected_labels(made: Sequence[Correction]) -> dict[tuple[str, int | str], str]:
    """Return key -> label of the present corrections."""
    return {one.key: one.label for one in made if one.label is not None}


class ImportedLines:
    """The table of the lines that are in the chain; writes within the caller's transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def new(self, made: Sequence[Correction]) -> dict[str, Correction]:
        """Return hash -> correction of those that are not stored; forget lines that exist no more."""
        by_hash = {line_hash(one): one for one in made}
        stored = {line for (line,) in self._db.execute("SELECT line FROM imported_corrections")}
        if gone := stored - by_hash.keys():
            query = "DELETE FROM imported_corrections WHERE line = ? AND seq NOT IN (SELECT seq FROM spells)"
            self._db.executemany(query, [(line,) for line in gone])
        return {line: one for line, one in by_hash.items() if line not in stored}

    def add(self, line: str, seq: int) -> None:
        """Note that a line is the record `seq`."""
        self._db.execute("INSERT INTO imported_corrections VALUES (?, ?)", (line, seq))

"""Corrected spells with their features: what a head can learn from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import RESERVED_LABELS
from genrewatch.history.correction_records import present_corrections
from genrewatch.history.corrections import Correction
from genrewatch.history.feature_store import SpellFeatures
from genrewatch.history.reader import HistoryReader, Selection
from genrewatch.history.record import Record
from genrewatch.host.times import rfc3339_to_ms

NEAR_MS = 15_000
"""Largest difference of the start of a spell that was open when it was corrected; it is saved so often."""
GAP_MS = 600_000
"""Pause between corrected spells of one source and label after which another piece of music is assumed."""
FEWEST_DAYS = 5
"""Days (of any source) from which whole days are held out."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CorrectedSpell:
    """A spell, what it really was, and its features."""

    seq: int
    source: str
    label: str
    start_ms: int
    vectors: NDArray[np.float32]
    """(n, n_features)"""


@dataclass(kw_only=True)
class CorrectedSpells:
    """Those of a history, oldest first."""

    spells: list[CorrectedSpell] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """Reason -> number of corrections that cannot be used."""


def corrected_spells(
    database: Path, reader: HistoryReader, features: Mapping[int, SpellFeatures], body: str, n_features: int
) -> CorrectedSpells:
    """Return the corrected spells with features of the network `body`; raises DataError, Unavailable or Damaged."""
    found = CorrectedSpells()
    for made in present_corrections(database, reader):
        spell = _spell(reader, made)
        kept = features.get(spell["seq"]) if spell else None
        if spell is None:
            found.left_out["the spell is no longer kept"] += 1
        elif kept is None or (kept.source, kept.start_ms) != (made.source, rfc3339_to_ms(spell["start"])):
            found.left_out["no features were kept"] += 1
        elif kept.body != body or kept.vectors.shape[1] != n_features:
            found.left_out["its features are of another network"] += 1
        elif made.label is None or made.label in RESERVED_LABELS:
            found.left_out["silence is measured, not learned"] += 1
        else:
            where = {"seq": spell["seq"], "source": made.source, "label": made.label}
            found.spells.append(CorrectedSpell(**where, start_ms=kept.start_ms, vectors=kept.vectors))
    found.spells.sort(key=lambda spell: spell.seq)
    return found


def groups(spells: list[CorrectedSpell]) -> tuple[NDArray[np.int64], str]:
    """Return the group of each spell, which are held out together, and what a group is.

    That is a day of a source, where there are enough of them; else a stretch of one label of a source without a long
    pause, since neighbouring spells can be of one piece of music.
    """
    days = [(spell.source, spell.start_ms // 86_400_000) for spell in spells]
    if len(set(days)) >= FEWEST_DAYS:
        return np.unique([f"{day} {source}" for source, day in days], return_inverse=True)[1], "days"
    found, newest, last = [], 0, dict[tuple[str, str], tuple[int, int]]()
    for spell in spells:
        group, end_ms = last.get((spell.source, spell.label), (0, -GAP_MS))
        if spell.start_ms - end_ms > GAP_MS or group == 0:
            newest += 1
            group = newest
        last[spell.source, spell.label] = group, spell.start_ms
        found.append(group)
    return np.array(found), "stretches"


def _spell(reader: HistoryReader, made: Correction) -> Record | None:
    """Return the record of the spell that a correction is about; None where it is not kept."""
    if made.seq is not None:
        return reader.spell(made.seq)
    start_ms = rfc3339_to_ms(made.start)
    near = Selection(since_ms=start_ms - NEAR_MS, until_ms=start_ms + NEAR_MS, sources=(made.source,))
    found = [record for page in reader.pages(near) for record in page if record["genre"] == made.genre]
    return min(found, key=lambda record: abs(rfc3339_to_ms(record["start"]) - start_ms), default=None)

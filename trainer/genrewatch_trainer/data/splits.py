"""Splits of the clips of a store into parts, made by clip and before any statistic is computed.

A table of splits is a TSV with columns `name` and `label`; `artist_group` names the artist; each further column is a
scheme whose cells are parts, `-` for a clip without one (a known fault, an unknown artist).
"""

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from genrewatch.contract.errors import ConfigError, DataError, os_error_reason
from genrewatch_trainer.data.store import Clip, StoreIndex

RANDOM = "random_70_30"
RANDOM_VALID = "random_60_10_30"
"""The same test part, and a validation part taken from the other: to choose the best epoch and calibrate on."""
VALID_PERCENT = 10
ARTIST = "artist_group"
NO_PART = "-"


@dataclass(frozen=True, kw_only=True)
class SplitTable:
    """A table of splits as read."""

    labels: dict[str, str] = field(default_factory=dict)
    artists: dict[str, str] = field(default_factory=dict)
    schemes: dict[str, dict[str, str]] = field(default_factory=dict)
    """Scheme -> clip name -> part; may name clips that a store does not hold."""


def read_splits(path: Path) -> SplitTable:
    """Read a table of splits; raises DataError."""
    try:
        with open(path, encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines, delimiter="\t", strict=True)
            header, rows = list(reader.fieldnames or ()), list(reader)
    except OSError as exc:
        raise DataError(str(path), os_error_reason(exc)) from None
    except (csv.Error, UnicodeDecodeError) as exc:
        raise DataError(str(path), f"is not a table ({exc})") from None
    if not rows or not {"name", "label"} <= rows[0].keys():
        raise DataError(str(path), "found no rows with columns name and label", "tab-separated columns")
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise DataError(f"{path}: line {number}", "wrong number of columns", str(len(rows[0])))
        if any(cell.strip() != cell or not cell for cell in row.values()):
            raise DataError(
                f"{path}: line {number}", "an empty cell or one with blanks around it", f"{NO_PART} for none"
            )
    for what, found in (("column", header), ("name", [row["name"] for row in rows])):
        if twice := [word for word, times in Counter(found).items() if times > 1]:
            raise DataError(str(path), f"{what} {twice[0]} occurs twice", "each once")

    def column(key: str) -> dict[str, str]:
        return {row["name"]: row[key] for row in rows if row[key] != NO_PART}

    schemes = [key for key in rows[0] if key not in ("name", "label", ARTIST)]
    artists = column(ARTIST) if ARTIST in rows[0] else {}
    return SplitTable(labels=column("label"), artists=artists, schemes={key: column(key) for key in schemes})


def parts_of(index: StoreIndex, scheme: str, seed: int) -> dict[str, str]:
    """Return clip name -> part in `scheme`; a random scheme that the store lacks is drawn, stratified, from `seed`."""
    if scheme in index.splits:
        return index.splits[scheme]
    if scheme not in (RANDOM, RANDOM_VALID):
        raise ConfigError("--split", f"found {scheme}", "one of " + ", ".join([*index.splits, RANDOM_VALID, RANDOM]))
    parts = random_parts(index.clips, rng=np.random.default_rng(seed), percent=70, parts=("train", "test"))
    if scheme == RANDOM:
        return parts
    rest = tuple(clip for clip in index.clips if parts[clip.name] == "train")
    percent = round(100 - 100 * VALID_PERCENT / 70)
    return parts | random_parts(rest, rng=np.random.default_rng((seed, 1)), percent=percent, parts=("train", "valid"))


def random_parts(
    clips: tuple[Clip, ...], *, rng: np.random.Generator, percent: int, parts: tuple[str, str]
) -> dict[str, str]:
    """Draw clip name -> the first part for `percent` of each label, else the second; clips of a track stay together."""
    larger, smaller = parts
    part_of_track: dict[str, str] = {}
    for label in sorted({clip.label for clip in clips}):
        tracks = Counter(_track(clip) for clip in clips if clip.label == label)
        wanted = round(tracks.total() * percent / 100)
        wanted -= sum(n for track, n in tracks.items() if part_of_track.get(track) == larger)
        fresh = sorted(tracks.keys() - part_of_track.keys())
        for track in rng.permutation(np.array(fresh, dtype=object)):
            part_of_track[track] = larger if wanted >= tracks[track] else smaller
            wanted -= tracks[track] if part_of_track[track] == larger else 0
    return {clip.name: part_of_track[_track(clip)] for clip in clips}


def _track(clip: Clip) -> str:
    return clip.track if clip.track is not None else clip.name


def check_table(table: SplitTable, labels: dict[str, str], where: str) -> None:
    """Raise DataError where a table names no clip of `labels` (name -> label), or gives one another label."""
    if table.labels and not table.labels.keys() & labels.keys():
        found, expected = next(iter(table.labels)), next(iter(labels))
        raise DataError(where, f"names such as {found}, none of them a clip", f"names such as {expected}")
    for name, label in labels.items():
        if table.labels.get(name, label) != label:
            raise DataError(f"{where}: {name}: label", f"found {table.labels[name]}", label)

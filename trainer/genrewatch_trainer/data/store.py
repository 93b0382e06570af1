"""A feature store: the log-mel of every clip of a corpus in dB, with labels, groups and splits.

    STORE/store.json     front end, labels, an entry per clip, named splits, provenance
    STORE/power_db.npy   float32 (total_frames, n_mels), dB re 1.0: all clips one after another, read memory-mapped

Stored is the front end's `power_db`. Scaling to [0, 1] depends on the segment, so it happens when one is cut.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genrewatch.contract.bundle import RESERVED_LABELS
from genrewatch.contract.decode import decode, read_json
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEndConfig, PowerDb
from genrewatch_trainer.files import atomic_folder, write_json

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One labelled clip of a corpus."""

    name: str
    """Unique in the store."""
    label: str
    n_frames: int
    """Frames of log-mel."""
    track: str | None = None
    """The recording it was cut from, where known; a random split keeps the clips of a track together."""
    artist: str | None = None
    """The artist, where known: a name or a number."""

    @property
    def group(self) -> str:
        """The artist, or where unknown the track: clips of one group must not be in two parts."""
        return self.artist or self.track or self.name


@dataclass(frozen=True, kw_only=True)
class StoreIndex:
    """The content of store.json."""

    version: int
    front_end: FrontEndConfig
    labels: tuple[str, ...]
    clips: tuple[Clip, ...]
    power_db_sha256: str
    """Of the stored frames, which makes a store recognisable wherever it is copied."""
    provenance: str
    """Where the features come from, in words."""
    splits: dict[str, dict[str, str]] = field(default_factory=dict)
    """Scheme -> clip name -> part; an absent clip has no part in that scheme."""


class Store:
    """A feature store opened for reading."""

    def __init__(self, path: Path, index: StoreIndex, power_db: PowerDb) -> None:
        self.path, self.index, self._power_db = path, index, power_db

    @classmethod
    def load(cls, path: Path) -> "Store":
        """Open and check the store in folder `path`; raises DataError."""
        where = str(path / "store.json")
        if not path.is_dir():
            raise DataError(str(path), "is not a folder", "a feature store")
        index = decode(StoreIndex, read_json(path / "store.json", error=DataError), where=where, error=DataError)
        _check(index, where)
        try:
            power_db = np.load(path / "power_db.npy", mmap_mode="r")
        except (OSError, ValueError, EOFError) as exc:
            raise DataError(str(path / "power_db.npy"), f"cannot be read ({exc})") from None
        shape = (sum(clip.n_frames for clip in index.clips), index.front_end.n_mels)
        if power_db.shape != shape or power_db.dtype != np.float32:
            raise DataError(str(path / "power_db.npy"), f"holds {power_db.shape} {power_db.dtype}", f"{shape} float32")
        return cls(path, index, power_db)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(clip.n_frames for clip in self.index.clips)])

    def __len__(self) -> int:
        return len(self.index.clips)

    def clip(self, i: int) -> PowerDb:
        """Return clip i as (n_frames, n_mels) float32, dB re 1.0, before scaling."""
        return self._power_db[self._starts[i] : self._starts[i + 1]]

    def parted(self, scheme: str, parts: dict[str, str]) -> "Store":
        """Return the same clips with one split instead of their own."""
        return Store(self.path, replace(self.index, splits={scheme: parts}), self._power_db)

    @cached_property
    def label_ids(self) -> NDArray[np.int64]:
        """(n_clips,) position of each clip's label in `index.labels`."""
        return np.array([self.index.labels.index(clip.label) for clip in self.index.clips], np.int64)


class StoreWriter:
    """A store that is being written, clip by clip; see `new_store`."""

    def __init__(self, front_end: FrontEndConfig, frames: BinaryIO) -> None:
        self._front_end, self._frames = front_end, frames
        self._hash, self.clips = hashlib.sha256(), list[Clip]()
        self._head(0)

    def add(
        self, power_db: PowerDb, *, name: str, label: str, track: str | None = None, artist: str | None = None
    ) -> None:
        """Add one clip, (n_frames, n_mels) in dB re 1.0; raises DataError for a value that is not finite."""
        if not np.isfinite(power_db).all():
            raise DataError(name, "a log-mel that is not finite", "numbers")
        data = np.ascontiguousarray(power_db, np.float32).tobytes()
        self._hash.update(data)
        self._frames.write(data)
        self.clips.append(Clip(name=name, label=label, n_frames=len(power_db), track=track, artist=artist))

    def finish(self, provenance: str, splits: dict[str, dict[str, str]]) -> StoreIndex:
        """Complete the frames file and return the index; the splits keep only clips that are stored."""
        names = {clip.name for clip in self.clips}
        self._frames.seek(0)
        self._head(sum(clip.n_frames for clip in self.clips))  # numpy leaves room for a longer first axis
        return StoreIndex(
            version=VERSION,
            front_end=self._front_end,
            labels=tuple(sorted({clip.label for clip in self.clips})),
            clips=tuple(self.clips),
            power_db_sha256=self._hash.hexdigest(),
            provenance=provenance,
            splits={s: {n: part for n, part in parts.items() if n in names} for s, parts in splits.items()},
        )

    def _head(self, n_frames: int) -> None:
        shape = (n_frames, self._front_end.n_mels)
        npy.write_array_header_1_0(self._frames, {"descr": "<f4", "fortran_order": False, "shape": shape})


@contextmanager
def new_store(
    path: Path, front_end: FrontEndConfig, *, provenance: str, splits: dict[str, dict[str, str]] | None = None
) -> Iterator[StoreWriter]:
    """Yield a writer to add clips to; the store appears at `path` when the `with` block ends without an error."""
    with atomic_folder(path) as folder:
        with open(folder / "power_db.npy", "wb") as frames:
            writer = StoreWriter(front_end, frames)
            yield writer
            if not writer.clips:
                raise DataError(str(path), "no clip to store", "at least one")
            index = writer.finish(provenance, splits or {})
        _check(index, str(path))
        write_json(folder / "store.json", index)


def _check(index: StoreIndex, where: str) -> None:
    if index.version != VERSION:
        raise DataError(f"{where}: version", f"found {index.version}", str(VERSION))
    if reserved := [label for label in index.labels if label in RESERVED_LABELS or not label]:
        raise DataError(f"{where}: labels", f"found {reserved[0]!r}", "no reserved word")
    names = [clip.name for clip in index.clips]
    if len(set(names)) != len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(f"{where}: clips", f"{twice} occurs twice", "unique names")
    for clip in index.clips:
        if clip.label not in index.labels:
            raise DataError(f"{where}: {clip.name}: label", f"found {clip.label}", "one of " + " ".join(index.labels))
    for scheme, parts in index.splits.items():
        if unknown := sorted(parts.keys() - set(names)):
            raise DataError(f"{where}: splits.{scheme}", f"{unknown[0]} is not in the store")

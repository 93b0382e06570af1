"""A target store: log-mel of random crops of music, each with the vector that a teacher computes from that crop.

    TARGETS/targets.json     front end, teacher, songs, changes, seed, number of crops
    TARGETS/00000.npz ...    power_db float16 (n, segment_frames, n_mels) dB re 1.0, target float32 (n, n_values),
                             degraded float16 (n, n_degraded, segment_frames, n_mels), where there are copies

Chunks are made one after another, and each depends on the seed and its number only, so a killed command resumes, and a
store can be read while it grows.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.decode import decode, read_json
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEndConfig
from genrewatch_trainer.distillation.crops import CropChanges
from genrewatch_trainer.files import readable

VERSION = 1
INDEX = "targets.json"
Half = NDArray[np.float16]


@dataclass(frozen=True, kw_only=True)
class TargetIndex:
    """The content of targets.json."""

    version: int
    front_end: FrontEndConfig
    teacher: str
    """The teacher's command."""
    songs: tuple[str, ...]
    """Folder and name of each sound file that crops come from."""
    changes: CropChanges
    n_crops: int
    """In the complete store."""
    crops_per_chunk: int
    seed: int
    n_degraded: int = 0
    """Copies of each crop as they arrive in the field, see `degraded`; the teacher receives the crop only."""
    noises: tuple[str, ...] = ()
    """Folder and name of each sound file that noise of the copies comes from."""

    @property
    def n_chunks(self) -> int:
        """Number of chunk files; the last one may be shorter."""
        return -(-self.n_crops // self.crops_per_chunk)

    @property
    def crops(self) -> tuple[object, ...]:
        """Everything that decides the crops and their order: stores where it is equal hold the same crops."""
        return self.front_end, self.songs, self.changes, self.crops_per_chunk, self.seed


class Targets:
    """A target store opened for reading, as far as it is made."""

    def __init__(self, path: Path, index: TargetIndex, n_chunks: int) -> None:
        self.path, self.index, self._n_chunks = path, index, n_chunks

    @classmethod
    def load(cls, path: Path) -> "Targets":
        """Open the store in folder `path`; raises DataError."""
        index = read_index(path)
        n_chunks = next((n for n in range(index.n_chunks) if not chunk_path(path, n).is_file()), index.n_chunks)
        if not n_chunks:
            raise DataError(str(path), "holds no crops yet", chunk_path(path, 0).name)
        return cls(path, index, n_chunks)

    def __len__(self) -> int:
        return len(self.target)

    @property
    def complete(self) -> bool:
        """True where all crops of the index are made."""
        return self._n_chunks == self.index.n_chunks

    @cached_property
    def _chunks(self) -> tuple[Half, NDArray[np.float32]]:
        crops, targets = [], []
        config = self.index.front_end
        for number in range(self._n_chunks):
            path = chunk_path(self.path, number)
            with readable(path), np.load(path, allow_pickle=False) as archive:
                power_db, target = archive["power_db"], archive["target"]
            if power_db.shape != (len(target), config.segment_frames, config.n_mels) or power_db.dtype != np.float16:
                raise DataError(str(path), f"holds {power_db.shape} {power_db.dtype}")
            crops.append(power_db)
            targets.append(target)
        if len({target.shape[1:] for target in targets}) != 1:
            raise DataError(str(self.path), "holds targets of different lengths")
        return np.concatenate(crops), np.concatenate(targets)

    @property
    def power_db(self) -> Half:
        """The log-mel (n_crops, segment_frames, n_mels) float16, dB re 1.0."""
        return self._chunks[0]

    def degraded(self) -> Half:
        """Read the degraded copies (n_crops, n_degraded, segment_frames, n_mels) float16, dB re 1.0."""
        config = self.index.front_end
        if not self.index.n_degraded:
            return np.empty((len(self), 0, config.segment_frames, config.n_mels), np.float16)
        found = []
        for number in range(self._n_chunks):
            path = chunk_path(self.path, number)
            with readable(path), np.load(path, allow_pickle=False) as archive:
                found.append(archive["degraded"])
        return np.concatenate(found)

    @property
    def target(self) -> NDArray[np.float32]:
        """The teacher's values (n_crops, n_values), not standardised."""
        return self._chunks[1]


def chunk_path(path: Path, number: int) -> Path:
    """Return the path of chunk `number` of the store in `path`."""
    return path / f"{number:05d}.npz"


def read_index(path: Path) -> TargetIndex:
    """Read the index of the store in `path`; raises DataError."""
    where = path / INDEX
    if not where.is_file():
        raise DataError(str(path), f"holds no {INDEX}", "a target store of `genrewatch-train teach`")
    data: Any = read_json(where, error=DataError)
    index = decode(TargetIndex, data, where=str(where), error=DataError)
    if index.version != VERSION:
        raise DataError(f"{where}: version", f"found {index.version}", str(VERSION))
    return index

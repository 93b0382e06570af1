"""Crops with their teacher's targets, of one or more target stores, ready to train on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError
from genrewatch_trainer.distillation.targets import Half, Targets

HELD_OUT_EVERY, HELD_OUT_MOST = 20, 512
SAME_CROP_DB = 0.1  # mean difference of a cell; rounding gives far less


@dataclass(frozen=True, kw_only=True)
class TargetCrops:
    """Crops with standardised targets; the last ones are held out to measure the target error with."""

    power_db: Half
    """(n_crops, segment_frames, n_mels), dB re 1.0"""
    target: NDArray[np.float32]
    """(n_crops, n_values), mean 0 and variance 1 over the crops"""
    n_held_out: int
    """The last crops, which are never trained on."""

    @classmethod
    def of(cls, *stores: Targets) -> "TargetCrops":
        """Join the crops of target stores one after another.

        Stores of the same crops give each crop once, with the targets of all their teachers side by side. Raises
        DataError where stores do not go together.
        """
        groups: dict[object, list[Targets]] = {}
        for store in stores:
            groups.setdefault(store.index.crops, []).append(store)
        _require_same_lengths(list(groups.values()))
        joined = [_side_by_side(group) for group in groups.values()]
        target = np.concatenate([target for _, target in joined])
        spread = target.std(axis=0)
        scaled = (target - target.mean(axis=0)) / np.where(spread > 0, spread, 1)
        return cls(
            power_db=np.concatenate([power_db for power_db, _ in joined]),
            target=scaled.astype(np.float32),
            n_held_out=min(HELD_OUT_MOST, len(target) // HELD_OUT_EVERY),
        )

    @property
    def n_values(self) -> int:
        """Length of a target."""
        return int(self.target.shape[1])

    @property
    def n_train(self) -> int:
        """Number of crops to train on."""
        return len(self.target) - self.n_held_out


def _side_by_side(stores: Sequence[Targets]) -> tuple[Half, NDArray[np.float32]]:
    """Return the crops that all of the stores have, and their targets joined along the values."""
    first, n_crops = stores[0], min(map(len, stores))
    for other in stores[1:]:
        _require_same_crops(first, other, min(n_crops, first.index.crops_per_chunk))
    return first.power_db[:n_crops], np.concatenate([store.target[:n_crops] for store in stores], axis=1)


def _require_same_crops(one: Targets, other: Targets, n_crops: int) -> None:
    """Raise DataError unless the first crops sound alike: the files may have changed under their names."""
    difference = np.abs(one.power_db[:n_crops].astype(np.float32) - other.power_db[:n_crops].astype(np.float32))
    if not difference.mean() < SAME_CROP_DB:
        raise DataError(str(other.path), "holds other crops", f"those of {one.path}, of the same songs and seed")


def _require_same_lengths(groups: Sequence[Sequence[Targets]]) -> None:
    first, *others = [[store.target.shape[1] for store in group] for group in groups]
    for group, lengths in zip(groups[1:], others, strict=True):
        if lengths != first:
            found, expected = (" + ".join(map(str, some)) for some in (lengths, first))
            raise DataError(str(group[0].path), f"{found} values a crop", f"{expected}, as in {groups[0][0].path}")

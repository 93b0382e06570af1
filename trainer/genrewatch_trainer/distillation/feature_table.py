"""Features of clips by another program, read from an .npz archive."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError
from genrewatch_trainer.distillation.targets import Targets

LEAST_PROBABILITY = 0.001


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Features of clips by another program."""

    name: str
    features: dict[str, NDArray[np.float64]]
    """Clip name -> (n_features,)"""
    probabilities: bool = False
    """True where the features are logarithms of probabilities in the archive."""
    targets: tuple[Targets, ...] = ()
    """Target stores whose last values are these features, or the logits of these probabilities."""

    def of_crops(self, targets: Targets) -> NDArray[np.float64]:
        """Return (n_crops, n_features) of a store of `targets`; raises DataError where it has fewer values."""
        n_features = len(next(iter(self.features.values())))
        if targets.target.shape[1] < n_features:
            raise DataError(
                str(targets.path), f"{targets.target.shape[1]} values a crop", f"{n_features} of {self.name}"
            )
        values = targets.target[:, -n_features:].astype(np.float64)
        return _logarithms(1 / (1 + np.exp(-values))) if self.probabilities else values


def read_table(path: Path, targets: tuple[Targets, ...] = ()) -> FeatureTable:
    """Read a table, to be used for the crops of `targets` as well; raises DataError."""
    names, rows = _read_arrays(path)
    probabilities = bool(rows.min() >= 0 and rows.max() <= 1)
    if probabilities:
        rows = _logarithms(rows)
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), rows.shape[1]))
    np.add.at(sums, which, rows)
    means = sums / np.bincount(which)[:, None]
    features = {str(names[i]): mean for i, mean in zip(first, means, strict=True)}
    return FeatureTable(name=path.name, features=features, probabilities=probabilities, targets=targets)


def _read_arrays(path: Path) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Return the names (n,) and the features (n, n_features)."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise DataError(str(path), f"cannot be read ({exc})", "an .npz archive") from None
    names = arrays.pop("name", np.empty(0))
    rows = next(iter(arrays.values()), np.empty(0))
    numbers = len(arrays) == 1 and rows.dtype.kind in "fiu" and rows.ndim == 2 and bool(np.isfinite(rows).all())
    if not numbers or len(rows) != len(names) or not len(rows):
        raise DataError(str(path), "holds other arrays", "name (n,) and one array of finite numbers (n, n_features)")
    return names, rows.astype(np.float64)


def _logarithms(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(probabilities + LEAST_PROBABILITY)

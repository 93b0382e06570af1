"""A summary of the features that a head was fitted on: a few centres for each label, in 8 bits.

With it a head can be fitted again, with further clips and labels, where the clips that it came from are not at hand.
The centres are those of k-means (Lloyd 1982).
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import BundleError, require
from genrewatch.contract.npz import Arrays, max_npz_bytes, read_npz

MAX_CENTRES, MAX_FEATURES = 100_000, 100_000
MAX_BYTES = 50_000_000


@dataclass(frozen=True, kw_only=True)
class SummarySize:
    """The sizes of a summary."""

    centres: int
    """Centres of all labels together."""
    features: int
    """Values of a centre, the inputs of the head."""

    def __post_init__(self) -> None:
        require(1 <= self.centres <= MAX_CENTRES, "centres", self.centres, f"1 to {MAX_CENTRES}")
        require(1 <= self.features <= MAX_FEATURES, "features", self.features, f"1 to {MAX_FEATURES}")
        require(self.centres * self.features <= MAX_BYTES, "centres", self.centres, f"at most {MAX_BYTES} values")

    @property
    def arrays(self) -> Arrays:
        """Shape and type of each array of the file."""
        return {
            "codes": ((self.centres, self.features), "int8"),
            "step": ((self.features,), "float32"),
            "middle": ((self.features,), "float32"),
            "labels": ((self.centres,), "int16"),
            "shares": ((self.centres,), "float32"),
        }

    @property
    def max_bytes(self) -> int:
        """Largest size of the file."""
        return max_npz_bytes(self.arrays)


@dataclass(frozen=True, kw_only=True)
class FeatureSummary:
    """Centres of the features of each label."""

    centres: NDArray[np.float32]
    """(n_centres, n_features)"""
    labels: NDArray[np.int16]
    """(n_centres,) positions in the manifest's labels."""
    shares: NDArray[np.float32]
    """(n_centres,) share of the label's segments that are nearest to the centre."""

    @property
    def size(self) -> SummarySize:
        """Its sizes, as the manifest holds them."""
        n_centres, n_features = self.centres.shape
        return SummarySize(centres=n_centres, features=n_features)


def write_summary(summary: FeatureSummary) -> bytes:
    """Return the content of the file; values are rounded to a 254th of the range of their feature."""
    low, high = summary.centres.min(axis=0), summary.centres.max(axis=0)
    middle = ((low + high) / 2).astype(np.float32)
    step = np.where(high > low, (high - low) / 254, 1).astype(np.float32)
    codes = np.round((summary.centres - middle) / step).astype(np.int8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, codes=codes, step=step, middle=middle, labels=summary.labels, shares=summary.shares)
    return buffer.getvalue()


def read_summary(content: bytes, size: SummarySize, n_labels: int, *, where: str) -> FeatureSummary:
    """Read the content of the file; BundleError for any other content."""
    arrays = read_npz(content, size.arrays, where=where)
    labels = arrays["labels"]
    if labels.min() < 0 or labels.max() >= n_labels:
        raise BundleError(f"{where}: labels", f"found {labels.min()} to {labels.max()}", f"0 to {n_labels - 1}")
    centres = arrays["codes"].astype(np.float32) * arrays["step"] + arrays["middle"]
    shares = arrays["shares"]
    if not (np.isfinite(centres).all() and np.isfinite(shares).all() and (shares > 0).all() and (shares <= 1).all()):
        raise BundleError(where, "an impossible value", "finite centres, and shares above 0")
    return FeatureSummary(centres=centres, labels=labels, shares=shares)

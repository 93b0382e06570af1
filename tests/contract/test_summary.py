"""The summary of features in a bundle: what is written is read back, within its step, and nothing else is read."""

import io

import numpy as np
import pytest

from genrewatch.contract.errors import BundleError, ConfigError
from genrewatch.contract.summary import FeatureSummary, SummarySize, read_summary, write_summary


@pytest.fixture
def summary(rng: np.random.Generator) -> FeatureSummary:
    centres = rng.normal(0, [0.1, 10, 0, 3], (5, 4)).astype(np.float32)
    labels, shares = np.array([0, 0, 1, 2, 2], np.int16), np.array([0.25, 0.75, 1, 0.5, 0.5], np.float32)
    return FeatureSummary(centres=centres, labels=labels, shares=shares)


def content(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_it_is_read_back_within_half_a_step(summary: FeatureSummary) -> None:
    found = read_summary(write_summary(summary), summary.size, 3, where="s")
    steps = np.ptp(summary.centres, axis=0) / 254
    assert (np.abs(found.centres - summary.centres) <= 0.51 * steps + 1e-6).all()
    assert np.array_equal(found.labels, summary.labels)
    assert np.array_equal(found.shares, summary.shares)


def test_a_label_that_the_bundle_has_not_is_refused(summary: FeatureSummary) -> None:
    with pytest.raises(BundleError, match="s: labels: found 0 to 2, expected 0 to 1"):
        read_summary(write_summary(summary), summary.size, 2, where="s")


@pytest.mark.parametrize(("array", "value"), [("step", np.nan), ("middle", np.inf), ("shares", 0), ("shares", np.nan)])
def test_an_impossible_value_is_refused(summary: FeatureSummary, array: str, value: float) -> None:
    arrays = dict(np.load(io.BytesIO(write_summary(summary))))
    arrays[array] = np.full_like(arrays[array], value)
    with pytest.raises(BundleError, match="s: an impossible value"):
        read_summary(content(**arrays), summary.size, 3, where="s")


def test_other_sizes_and_bytes_are_refused(summary: FeatureSummary) -> None:
    with pytest.raises(BundleError, match="codes"):
        read_summary(write_summary(summary), SummarySize(centres=6, features=4), 3, where="s")
    with pytest.raises(BundleError, match="cannot be read"):
        read_summary(b"PK", summary.size, 3, where="s")
    with pytest.raises(ConfigError, match="centres"):
        SummarySize(centres=100_000, features=100_000)

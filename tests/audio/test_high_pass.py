"""The pre-filter removes what lies below the music, whatever the blocks, and has no transient at the start."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrewatch.audio.high_pass import BLOCK, CUTOFF_HZ, ORDER, HighPass
from genrewatch.contract.front_end import COMPACT, FrontEnd
from genrewatch_trainer.data.oracle import difference_db

signal = pytest.importorskip("scipy.signal")

RATE = 22_050


def whole(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    return HighPass(rate).push(samples.astype(np.float32), last=True)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def sine(hz: float, seconds: float = 3.0, phase: float = 0.0, rate: int = RATE) -> np.ndarray:
    return np.cos(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate + phase)


def db(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.abs(samples).max() + 1e-12))


@settings(max_examples=15)
@given(n=st.integers(0, 30_000), cuts=st.lists(st.integers(0, 30_000), max_size=30))
def test_the_output_is_bit_equal_however_the_input_is_cut(n: int, cuts: list[int]) -> None:
    samples, high_pass = noise(n), HighPass(RATE)
    pieces = [high_pass.push(piece) for piece in np.split(samples, sorted(min(cut, n) for cut in cuts))]
    pieces.append(high_pass.push(samples[:0], last=True))
    assert np.concatenate(pieces).tobytes() == whole(samples).tobytes()
    assert len(whole(samples)) == n


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_it_is_scipys_butterworth_once_the_start_has_passed(rate: int) -> None:
    samples = noise(2 * rate)
    sections = signal.butter(ORDER, CUTOFF_HZ, "highpass", fs=rate, output="sos")
    expected = signal.sosfilt(sections, samples.astype(np.float64))
    start = round(1.2 * rate)  # at 8 kHz a block is a quarter of a second
    np.testing.assert_allclose(whole(samples, rate)[start:], expected[start:], atol=1e-6)


@pytest.mark.parametrize("phase", [0, 1, 2, 3])
@pytest.mark.parametrize(("hz", "at_most_db"), [(0, -200), (3, -65), (8, -55), (12, -35), (15, -24)])
def test_offset_and_rumble_are_gone_from_the_first_sample_on(hz: float, at_most_db: float, phase: float) -> None:
    assert db(whole(sine(hz, phase=phase))) < at_most_db


def test_drift_is_gone() -> None:
    assert db(whole(np.linspace(-0.5, 0.5, 5 * RATE))) < -90


@pytest.mark.parametrize("hz", [35, 50, 100, 440, 5_000])
def test_music_keeps_its_level(hz: float) -> None:
    filtered = whole(sine(hz))[RATE : 2 * RATE]
    assert 10 * np.log10(2 * np.mean(filtered.astype(np.float64) ** 2)) == pytest.approx(0, abs=0.1)


def test_at_most_a_block_waits_after_the_start() -> None:
    high_pass = HighPass(RATE)
    high_pass.push(noise(RATE))
    received = returned = 0
    for _ in range(200):
        returned += len(high_pass.push(noise(97)))
        received += 97
        assert received - returned <= 2 * BLOCK


def test_a_sample_that_is_no_number_does_not_poison_those_after_it() -> None:
    samples = noise(RATE)
    samples[[100, 15_000]] = np.nan, np.inf
    assert np.isfinite(whole(samples)).all()


def test_librosa_agrees_on_the_filtered_samples() -> None:
    assert difference_db(whole(noise(3 * RATE) + np.float32(0.3)), COMPACT) < 1e-3


def test_an_offset_changes_no_cell_of_the_log_mel() -> None:
    front_end, music = FrontEnd(COMPACT), noise(COMPACT.segment_samples)
    with_offset = front_end.log_mel(whole(music + np.float32(1.0)))
    np.testing.assert_allclose(with_offset, front_end.log_mel(whole(music)), atol=1e-3)

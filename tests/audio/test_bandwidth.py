"""The bandwidth of a source: the lowest cliff of its long-term spectrum, once it is steady."""

import numpy as np
import pytest
from tests.sounds import tune

from genrewatch.audio.bandwidth import STEADY, BandwidthMeter
from genrewatch.audio.resample import Resampler
from genrewatch.contract.front_end import COMPACT, FrontEnd

RATE = COMPACT.sample_rate
FRONT_END = FrontEnd(COMPACT)


def noise(seconds: float, *, db_per_octave: float = 0.0) -> np.ndarray:
    """Noise up to the full band, falling towards the treble."""
    n = int(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(n))
    hz = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 50)
    sound = np.fft.irfft(spectrum * (hz / 50) ** (db_per_octave / 6.02), n)
    return (0.1 * sound / sound.std()).astype(np.float32)


def at_rate(samples: np.ndarray, hz: int) -> np.ndarray:
    narrow = Resampler(RATE, hz).push(samples, last=True)
    return Resampler(hz, RATE).push(narrow, last=True)


def measured(samples: np.ndarray) -> list[int | None]:
    """Return what the meter says after each segment."""
    meter, power_db = BandwidthMeter(COMPACT), FRONT_END.power_db(samples)
    found = []
    for start in range(0, len(power_db) - COMPACT.segment_frames + 1, 24):
        meter.update(power_db[start : start + COMPACT.segment_frames])
        found.append(meter.bandwidth_hz)
    return found


@pytest.mark.parametrize(("hz", "expected"), [(8_000, 4_000), (11_025, 5_500), (16_000, 8_000)])
@pytest.mark.parametrize("db_per_octave", [0.0, -6.0, -12.0])
def test_a_low_sample_rate_is_found(hz: int, expected: int, db_per_octave: float) -> None:
    assert measured(at_rate(noise(30, db_per_octave=db_per_octave), hz))[-1] == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("db_per_octave", [0.0, -6.0, -12.0, -18.0])
def test_treble_that_becomes_weaker_is_no_narrow_band(db_per_octave: float) -> None:
    assert measured(noise(30, db_per_octave=db_per_octave))[-1] == COMPACT.fmax


def test_a_tune_without_treble_of_its_own_is_no_narrow_link() -> None:
    bass = 0.2 * np.sin(2 * np.pi * 110 * np.arange(30 * RATE) / RATE) + 0.01 * noise(30, db_per_octave=-6)
    assert measured(bass.astype(np.float32))[-1] == COMPACT.fmax


def test_nothing_is_reported_before_it_is_steady_and_a_wide_sound_ends_a_narrow_one() -> None:
    wide, narrow = noise(40), at_rate(noise(40), 8_000)
    found = measured(np.concatenate([narrow, wide]))
    assert found[: STEADY - 1] == [None] * (STEADY - 1)
    assert found[STEADY - 1] == pytest.approx(4_000, rel=0.1)
    assert found[-1] == COMPACT.fmax


def test_a_louder_or_softer_sound_has_the_same_bandwidth() -> None:
    narrow = at_rate(tune(12, seed=1), 11_025)
    assert measured(narrow)[-1] == measured((narrow * 0.05).astype(np.float32))[-1]

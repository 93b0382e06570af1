import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrewatch.audio.resample import Resampler

NOTHING = np.empty(0, np.float32)


def resample(samples: np.ndarray, from_rate: int, to_rate: int, cuts: list[int] | None = None) -> np.ndarray:
    resampler = Resampler(from_rate, to_rate)
    pieces = [resampler.push(piece) for piece in np.split(samples, sorted(cuts or []))]
    return np.concatenate([*pieces, resampler.push(NOTHING, last=True)])


@settings(max_examples=20)
@given(
    from_rate=st.sampled_from([8_000, 16_000, 44_100, 48_000]),
    cuts=st.lists(st.integers(0, 20_000), max_size=30),
)
def test_the_output_is_bit_equal_however_the_input_is_cut(from_rate: int, cuts: list[int]) -> None:
    samples = np.random.default_rng(1).standard_normal(20_000).astype(np.float32)
    whole = resample(samples, from_rate, 22_050)
    assert resample(samples, from_rate, 22_050, cuts).tobytes() == whole.tobytes()


def test_one_sample_at_a_time_is_bit_equal_too() -> None:
    samples = np.random.default_rng(2).standard_normal(3_000).astype(np.float32)
    one_by_one = resample(samples, 48_000, 22_050, list(range(1, 3_000)))
    assert one_by_one.tobytes() == resample(samples, 48_000, 22_050).tobytes()


@pytest.mark.parametrize("from_rate", [8_000, 44_100, 48_000, 96_000])
def test_as_much_time_comes_out_as_went_in(from_rate: int) -> None:
    assert len(resample(np.zeros(from_rate * 2, np.float32), from_rate, 22_050)) == pytest.approx(44_100, abs=1)


@pytest.mark.parametrize("from_rate", [16_000, 22_050, 48_000])
def test_silence_in_is_silence_out(from_rate: int) -> None:
    assert not resample(np.zeros(30_000, np.float32), from_rate, 22_050).any()


@pytest.mark.parametrize("from_rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("hz", [50, 1_000, 6_000])
def test_a_sine_comes_out_as_the_same_sine_at_the_same_time(from_rate: int, hz: int) -> None:
    def sine(rate: int) -> np.ndarray:
        return 0.5 * np.sin(2 * np.pi * hz * np.arange(rate) / rate)

    out = resample(sine(from_rate).astype(np.float32), from_rate, 22_050)
    middle = slice(2_000, -2_000)
    np.testing.assert_allclose(out[middle], sine(22_050)[: len(out)][middle], atol=1e-3)


def test_frequencies_above_half_the_new_rate_do_not_alias() -> None:
    ultrasound = 0.5 * np.sin(2 * np.pi * 15_000 * np.arange(48_000) / 48_000)
    assert np.abs(resample(ultrasound.astype(np.float32), 48_000, 22_050)[2_000:-2_000]).max() < 1e-4


def test_equal_rates_change_no_bit(rng: np.random.Generator) -> None:
    samples = rng.standard_normal(1_000).astype(np.float32)
    assert resample(samples, 22_050, 22_050, [10, 11, 500]).tobytes() == samples.tobytes()


def test_reset_starts_a_new_stretch_independent_of_the_old_one(rng: np.random.Generator) -> None:
    samples = rng.standard_normal(5_000).astype(np.float32)
    resampler = Resampler(48_000, 22_050)
    resampler.push(samples[::-1].copy())
    resampler.reset()
    again = np.concatenate([resampler.push(samples), resampler.push(NOTHING, last=True)])
    assert again.tobytes() == resample(samples, 48_000, 22_050).tobytes()

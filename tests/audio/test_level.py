import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrewatch.audio.level import LevelConfig, LevelGate, level_dbfs, measure
from genrewatch.contract.errors import ConfigError

CONFIG = LevelConfig(silence_dbfs=-60, hysteresis_db=4)


def sine(amplitude: float, n: int = 22_050) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * 441 * np.arange(n) / 22_050)).astype(np.float32)


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.001])
def test_a_full_scale_sine_is_at_minus_3_01_and_a_quieter_one_as_much_lower(amplitude: float) -> None:
    assert level_dbfs(sine(amplitude)) == pytest.approx(-3.0103 + 20 * math.log10(amplitude), abs=1e-3)


def test_a_full_scale_square_wave_is_at_0() -> None:
    assert level_dbfs(np.array([1, -1] * 500, np.float32)) == 0


@pytest.mark.parametrize("constant", [0.0, 0.5, -1.0, 0.1])
def test_constant_samples_have_no_level(constant: float) -> None:
    assert level_dbfs(np.full(1000, constant, np.float32)) is None
    assert level_dbfs(np.empty(0, np.float32)) is None


def test_nan_has_no_level() -> None:
    assert level_dbfs(np.array([np.nan, 0.1, 0.2], np.float32)) is None


def test_a_direct_current_adds_nothing_to_the_level() -> None:
    assert level_dbfs(sine(0.01) + np.float32(0.3)) == pytest.approx(level_dbfs(sine(0.01)), abs=0.01)


@given(st.lists(st.floats(-2, 2, width=32), max_size=50))
def test_a_level_is_a_finite_number_or_none_and_never_minus_infinity(values: list[float]) -> None:
    level = level_dbfs(np.array(values, np.float32))
    assert level is None or math.isfinite(level)


@pytest.mark.parametrize("step", [1e-30, 1e-38, 1e-45])
def test_the_smallest_float_still_gives_no_minus_infinity(step: float) -> None:
    level = level_dbfs(np.array([0, step], np.float32))
    assert level is None or math.isfinite(level)


def silences(levels: list[float | None], hops_per_segment: int = 1) -> str:
    gate, states = LevelGate(CONFIG, hops_per_segment=hops_per_segment, hop_s=2.0), ""
    for level in levels:
        gate.add(level)
        states += "s" if gate.silent else "."
    return states


def test_silence_begins_below_the_limit_and_ends_only_above_the_hysteresis() -> None:
    assert silences([-50, -59.9, -60.1, -59, -56.1, -55.9, -59]) == "..sss.."


def test_no_level_at_all_is_silence() -> None:
    assert silences([None, -50, None]) == "s.s"


def test_a_segment_is_silent_when_more_than_half_of_its_hops_are() -> None:
    assert silences([-40, -40, None, None, None, -40, -40], hops_per_segment=4) == "....ss."


def test_clear_drops_the_hops_before() -> None:
    gate = LevelGate(CONFIG, hops_per_segment=5, hop_s=2.0)
    for _ in range(5):
        gate.add(None)
    gate.clear()
    assert not gate.silent
    gate.add(-30)
    assert not gate.silent


@pytest.mark.parametrize(("key", "value"), [("silence_dbfs", -141), ("silence_dbfs", 0), ("hysteresis_db", -1)])
def test_an_impossible_limit_is_refused(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: found {value}"):
        LevelConfig(**{key: value})


def test_a_limit_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^silence_dbfs"):
        LevelConfig(silence_dbfs=float("nan"))


def test_peak_clipping_and_dc_of_a_sine_that_is_too_loud() -> None:
    level = measure(np.clip(sine(2.0), -1, 1) + np.float32(0.0))
    assert level.peak_dbfs == 0
    assert level.clipped == pytest.approx(2 / 3, abs=0.04)  # |sin| > 1/2 for two thirds of the time
    assert level.dc == pytest.approx(0, abs=1e-6)
    quiet = measure(sine(0.1) + np.float32(0.25))
    assert (quiet.clipped, quiet.dc) == (0, pytest.approx(0.25, abs=1e-6))
    assert quiet.peak_dbfs == pytest.approx(20 * math.log10(0.35), abs=0.01)


def test_digital_silence_has_neither_level_nor_peak() -> None:
    for samples in (np.zeros(100, np.float32), np.empty(0, np.float32)):
        level = measure(samples)
        assert (level.dbfs, level.peak_dbfs, level.clipped, level.dc) == (None, None, 0, 0)


def dead_air(levels: list[float | None]) -> str:
    config = LevelConfig(dead_air_s=6, sound_returns_s=4)
    gate, states = LevelGate(config, hops_per_segment=4, hop_s=2.0), ""
    for level in levels:
        gate.add(level)
        states += "D" if gate.dead_air else "."
    return states


def test_dead_air_begins_after_long_silence_and_ends_only_when_sound_has_lasted() -> None:
    music, silence = -20.0, None
    assert dead_air([music, silence, silence, music, silence, silence, silence]) == "......D"
    assert dead_air([silence] * 3 + [music, silence, music, music, music]) == "..DDDD.."


def test_a_gap_neither_makes_nor_ends_dead_air() -> None:
    gate = LevelGate(LevelConfig(dead_air_s=6), hops_per_segment=4, hop_s=2.0)
    for _ in range(3):
        gate.add(None)
    gate.clear()
    assert gate.dead_air
    gate.add(None)
    assert gate.dead_air

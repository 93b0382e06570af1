import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.errors import ConfigError
from edge.level import LevelConfig, LevelGate, level_dbfs

CONFIG = LevelConfig(silence_dbfs=-60, hysteresis_db=4)


def sine(amplitude: float, n: int = 22_050) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * 441 * np.arange(n) / 22_050)).astype(np.float32)


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.001])
def test_a_full_scale_sine_is_at_minus_3_01_and_a_quieter_one_as_much_lower(amplitude: float) -> None:
    assert level_dbfs(sine(amplitude)) == pytest.approx(-3.0103 + 20 * math.log10(amplitude), abs=1e-3)


def test_a_full_scale_square_wave_is_at_0() -> None:
    assert level_dbfs(np.array([1, -1] * 500, np.float32)) == 0


@pytest.mark.parametrize("constant", [0.0, 0.5, -1.0, 0.1])
def test_what_does_not_move_has_no_level(constant: float) -> None:
    assert level_dbfs(np.full(1000, constant, np.float32)) is None
    assert level_dbfs(np.empty(0, np.float32)) is None


def test_what_is_not_a_number_has_no_level() -> None:
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


def heard(levels: list[float | None], hops_per_segment: int = 1) -> str:
    gate, told = LevelGate(CONFIG, hops_per_segment=hops_per_segment), ""
    for level in levels:
        gate.add(level)
        told += "s" if gate.silent else "."
    return told


def test_silence_begins_below_the_limit_and_ends_only_above_the_hysteresis() -> None:
    assert heard([-50, -59.9, -60.1, -59, -56.1, -55.9, -59]) == "..sss.."


def test_no_level_at_all_is_silence() -> None:
    assert heard([None, -50, None]) == "s.s"


def test_a_segment_is_silent_when_more_than_half_of_its_hops_are() -> None:
    assert heard([-40, -40, None, None, None, -40, -40], hops_per_segment=4) == "....ss."


def test_clear_forgets_the_hops_before() -> None:
    gate = LevelGate(CONFIG, hops_per_segment=5)
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

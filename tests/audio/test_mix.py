"""Channels to mono: what cancels is noticed, a dead channel costs nothing, stereo music is not switched about."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrewatch.audio.mix import STEADY, Channel, Mixer
from genrewatch.audio.pcm import PcmFormat, pcm_blocks

RATE = 4_000
WINDOW = RATE // 4


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def stack(*channels: np.ndarray) -> np.ndarray:
    return np.stack(channels, axis=1).astype(np.float32)


def mixed(samples: np.ndarray, channel: Channel = "auto") -> tuple[np.ndarray, Mixer]:
    mixer = Mixer(samples.shape[1], RATE, channel)
    return mixer.push(samples), mixer


X = noise(4 * RATE)


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(stack(X, -X), id="antiphase"),
        pytest.param(stack(X, -0.99 * X), id="nearly"),
        pytest.param(stack(X + 0.5, -X), id="antiphase with an offset"),
        pytest.param(stack(X, -X, X, -X), id="four channels in pairs"),
    ],
)
def test_channels_that_cancel_are_noticed_and_one_is_used(samples: np.ndarray) -> None:
    sound, mixer = mixed(samples)
    assert mixer.mix.phase == "antiphase"
    assert len(mixer.mix.used) == 1
    assert sound[WINDOW:].std() == pytest.approx(X[WINDOW:].std(), rel=0.02)


def test_the_louder_of_two_channels_that_cancel_is_used() -> None:
    _, mixer = mixed(stack(0.8 * X, -X))
    assert mixer.mix.used == (1,)


@pytest.mark.parametrize("dead", [np.zeros_like(X), 0.0001 * noise(len(X), 9), np.full_like(X, 0.3)])
def test_a_dead_channel_costs_no_level(dead: np.ndarray) -> None:
    sound, mixer = mixed(stack(X, dead))
    assert (mixer.mix.dead, mixer.mix.used, mixer.mix.phase) == ((1,), (0,), "ok")
    assert sound[WINDOW:].std() == pytest.approx(X[WINDOW:].std(), rel=0.01)


@pytest.mark.parametrize("n_channels", [2, 3, 4, 6])
def test_independent_channels_are_the_mean_bit_for_bit(n_channels: int) -> None:
    samples = stack(*[noise(2 * RATE, seed) for seed in range(n_channels)])
    sound, mixer = mixed(samples)
    assert (mixer.mix.phase, mixer.mix.dead) == ("ok", ())
    assert sound.tobytes() == samples.mean(axis=1, dtype=np.float32).tobytes()


def test_stereo_music_that_is_wide_for_a_moment_is_not_switched() -> None:
    side = noise(len(X), 5)
    samples = stack(X + 0.3 * side, X - 0.3 * side)
    samples[RATE : 2 * RATE, 1] = -samples[RATE : 2 * RATE, 0]  # a second, STEADY windows are three
    _, mixer = mixed(samples)
    assert mixer.mix.phase == "ok"
    assert WINDOW * STEADY > RATE


def test_a_fault_that_comes_later_is_noticed_and_one_that_is_mended_too() -> None:
    long = noise(20 * RATE, 3)
    mixer = Mixer(2, RATE)
    phases = []
    for part, sign in enumerate((1, -1, 1)):
        piece = long[part * 5 * RATE : (part + 1) * 5 * RATE]
        mixer.push(stack(piece, sign * piece))
        phases.append(mixer.mix.phase)
    assert phases == ["ok", "antiphase", "ok"]


def test_silence_finds_nothing() -> None:
    _, mixer = mixed(np.zeros((4 * RATE, 2), np.float32))
    assert (mixer.mix.phase, mixer.mix.dead, mixer.mix.used) == ("ok", (), (0, 1))


@pytest.mark.parametrize(("channel", "expected"), [("left", X), ("right", -X), ("mix", np.zeros_like(X))])
def test_a_channel_is_chosen_by_hand(channel: Channel, expected: np.ndarray) -> None:
    sound, _ = mixed(stack(X, -X), channel)
    np.testing.assert_array_equal(sound, expected)


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 4 * RATE), max_size=20))
def test_the_output_is_bit_equal_however_the_input_is_cut(cuts: list[int]) -> None:
    samples, mixer = stack(X, np.where(np.arange(len(X)) < RATE, X, -X)), Mixer(2, RATE)
    pieces = [mixer.push(piece) for piece in np.split(samples, sorted(cuts))]
    assert np.concatenate(pieces).tobytes() == mixed(samples)[0].tobytes()


def test_a_block_carries_what_was_found() -> None:
    ints = np.rint(stack(X, -X) * 32767).astype("<i2").tobytes()
    pipe = iter([ints, b""])
    blocks = list(pcm_blocks(lambda n: next(pipe), PcmFormat(rate=RATE, channels=2), where="pipe"))
    assert blocks[-1].mix is not None
    assert blocks[-1].mix.phase == "antiphase"

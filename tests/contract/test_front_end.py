"""The front end against librosa, an independent implementation, and against itself in parts."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrewatch.contract.errors import ConfigError
from genrewatch.contract.front_end import COMPACT, PAPER, FrontEnd, FrontEndConfig, mel_filters

librosa = pytest.importorskip("librosa")

ODD = FrontEndConfig(sample_rate=16_000, n_fft=256, hop_length=200, n_mels=128, fmin=37, fmax=6_800, segment_frames=50)
"""Its narrow low bands hold no FFT bin."""
TINY = FrontEndConfig(sample_rate=8_000, n_fft=256, hop_length=100, n_mels=20, fmin=0, fmax=4_000, segment_frames=8)
CONFIGS = pytest.mark.parametrize("config", [PAPER, COMPACT, ODD], ids=["paper", "compact", "odd"])


def sound(name: str, config: FrontEndConfig) -> np.ndarray:
    rng = np.random.default_rng(3)
    n = config.segment_samples
    t = np.arange(n) / config.sample_rate
    noise = rng.uniform(-1, 1, n)
    return {
        "noise": 0.3 * noise,
        "full scale noise": noise,
        "very quiet noise": 1e-6 * noise,
        "full scale sine": np.sin(2 * np.pi * 440 * t),
        "low sine": 0.1 * np.sin(2 * np.pi * 50 * t),
        "high sine": 0.1 * np.sin(2 * np.pi * 0.43 * config.sample_rate * t),
        "chord": 0.1 * sum(np.sin(2 * np.pi * f * t) for f in (220, 277.2, 329.6)),
        "chirp": 0.5 * np.sin(2 * np.pi * (60 + config.sample_rate / 5 / t[-1] * t) * t),
        "square": np.sign(np.sin(2 * np.pi * 100 * t)),
        "one click": np.eye(1, n, n // 2)[0],
        "constant": np.full(n, 0.5),
        "silence": np.zeros(n),
    }[name].astype(np.float32)


SOUNDS = [
    *("noise", "full scale noise", "very quiet noise", "full scale sine", "low sine", "high sine"),
    *("chord", "chirp", "square", "one click", "constant", "silence"),
]


def librosa_power_db(samples: np.ndarray, config: FrontEndConfig) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa warns of the empty filters of ODD
        power = librosa.feature.melspectrogram(
            y=samples.astype(np.float64),
            sr=config.sample_rate,
            n_fft=config.n_fft,
            hop_length=config.hop_length,
            n_mels=config.n_mels,
            fmin=config.fmin,
            fmax=config.fmax,
            center=False,
            dtype=np.float64,
        )
    return librosa.power_to_db(power, ref=1.0, amin=10 ** (config.floor_db / 10), top_db=None).T


@CONFIGS
@pytest.mark.parametrize("name", SOUNDS)
def test_power_db_agrees_with_librosa_within_a_thousandth_of_a_decibel(config: FrontEndConfig, name: str) -> None:
    samples = sound(name, config)
    ours = FrontEnd(config).power_db(samples)
    assert ours.shape == (config.segment_frames, config.n_mels)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, librosa_power_db(samples, config), rtol=0, atol=1e-3)


@CONFIGS
def test_mel_filters_are_librosas(config: FrontEndConfig) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = librosa.filters.mel(
            sr=config.sample_rate,
            n_fft=config.n_fft,
            n_mels=config.n_mels,
            fmin=config.fmin,
            fmax=config.fmax,
            dtype=np.float64,
        )
    np.testing.assert_allclose(mel_filters(config), theirs, rtol=0, atol=1e-12)


def test_the_odd_configuration_has_bands_without_a_bin_and_they_lie_on_the_floor() -> None:
    empty = mel_filters(ODD).sum(axis=1) == 0
    assert empty.any()
    assert not empty.all()
    power_db = FrontEnd(ODD).power_db(sound("noise", ODD))
    assert (power_db[:, empty] == power_db.min()).all()
    assert power_db.min() == pytest.approx(ODD.floor_db)


@given(
    extra=st.integers(0, 40 * TINY.hop_length),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    seed=st.integers(0, 2**32 - 1),
)
def test_frames_are_bit_equal_however_many_are_computed_in_one_call(extra: int, cuts: list[int], seed: int) -> None:
    samples = np.random.default_rng(seed).standard_normal(TINY.n_fft + extra).astype(np.float32)
    front_end = FrontEnd(TINY)
    whole = front_end.power_db(samples)
    edges = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    hop = TINY.hop_length
    parts = [front_end.power_db(samples[a * hop : (b - 1) * hop + TINY.n_fft]) for a, b in itertools.pairwise(edges)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("config", [PAPER, COMPACT], ids=["paper", "compact"])
def test_a_frame_computed_by_itself_is_bit_equal_to_the_same_frame_among_many(config: FrontEndConfig) -> None:
    samples, front_end = sound("noise", config), FrontEnd(config)
    whole = front_end.power_db(samples)
    for k in (0, 1, 15, 16, 17, config.segment_frames - 1):
        single = front_end.power_db(samples[k * config.hop_length :][: config.n_fft])
        assert single.tobytes() == whole[k].tobytes()


def test_frames_do_not_depend_on_how_the_samples_lie_in_memory(rng: np.random.Generator) -> None:
    stereo = rng.standard_normal((TINY.segment_samples, 2)).astype(np.float32)
    front_end = FrontEnd(TINY)
    strided, packed = stereo[:, 0], np.ascontiguousarray(stereo[:, 0])
    assert front_end.power_db(strided).tobytes() == front_end.power_db(packed).tobytes()


@CONFIGS
@pytest.mark.parametrize("name", ["noise", "chord", "chirp"])
def test_the_same_sound_20_db_quieter_gives_the_same_log_mel(config: FrontEndConfig, name: str) -> None:
    loud = sound(name, config)
    loud += np.float32(1e-3) * sound("noise", config)  # keeps every cell above the absolute floor
    front_end = FrontEnd(config)
    np.testing.assert_allclose(front_end.log_mel(loud * np.float32(0.1)), front_end.log_mel(loud), atol=1e-4)


@CONFIGS
def test_digital_silence_is_all_zero(config: FrontEndConfig) -> None:
    assert not FrontEnd(config).log_mel(sound("silence", config)).any()


@CONFIGS
@pytest.mark.parametrize("name", SOUNDS)
def test_log_mel_is_finite_and_between_0_and_1(config: FrontEndConfig, name: str) -> None:
    log_mel = FrontEnd(config).log_mel(sound(name, config))
    assert np.isfinite(log_mel).all()
    assert log_mel.min() >= 0
    assert log_mel.max() <= 1


def test_the_loudest_cell_is_1_and_range_db_below_it_is_0() -> None:
    power_db = np.full((TINY.segment_frames, TINY.n_mels), -95, np.float32)
    power_db[2, 3], power_db[2, 4], power_db[2, 5] = 6, 6 - 40, 6 - 80
    scaled = FrontEnd(TINY).scale(power_db)
    assert scaled[2, 3] == 1
    assert scaled[2, 4] == pytest.approx(0.5)
    assert scaled[2, 5] == pytest.approx(0, abs=1e-6)
    assert scaled[0, 0] == 0


def test_a_stack_of_segments_is_scaled_each_by_its_own_loudest_cell(rng: np.random.Generator) -> None:
    stack = rng.uniform(-60, 0, (3, TINY.segment_frames, TINY.n_mels)).astype(np.float32)
    stack[1] -= 15
    front_end = FrontEnd(TINY)
    for scaled, power_db in zip(front_end.scale(stack), stack, strict=True):
        assert scaled.tobytes() == front_end.scale(power_db).tobytes()


def test_a_segment_is_exactly_long_enough_for_its_frames() -> None:
    assert COMPACT.n_frames(COMPACT.segment_samples) == COMPACT.segment_frames
    assert COMPACT.n_frames(COMPACT.segment_samples - 1) == COMPACT.segment_frames - 1
    assert TINY.n_frames(TINY.n_fft - 1) == TINY.n_frames(0) == 0
    assert (PAPER.segment_frames, PAPER.n_mels) == (660, 128)
    assert PAPER.segment_samples == 659 * 256 + 1024


def test_too_few_samples_give_no_frames_and_no_log_mel() -> None:
    front_end = FrontEnd(TINY)
    assert front_end.power_db(np.zeros(TINY.n_fft - 1, np.float32)).shape == (0, TINY.n_mels)
    with pytest.raises(ValueError, match=f"expected segment_samples = {TINY.segment_samples}"):
        front_end.log_mel(np.zeros(TINY.segment_samples - 1, np.float32))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sample_rate", 7_999),
        ("sample_rate", 200_000),
        ("n_fft", 1000),
        ("n_fft", 32),
        ("hop_length", 0),
        ("n_mels", 0),
        ("segment_frames", 0),
        ("fmin", -1),
        ("fmin", 11_025),
        ("fmax", 11_026),
        ("floor_db", 1),
        ("range_db", 0),
    ],
)
def test_an_impossible_configuration_is_refused_and_the_key_named(key: str, value: int) -> None:
    good = {"sample_rate": 22_050, "n_fft": 1024, "hop_length": 256, "n_mels": 128, "fmin": 0, "fmax": 11_025}
    with pytest.raises(ConfigError) as refusal:
        FrontEndConfig(**(good | {"segment_frames": 660, key: value}))
    assert refusal.value.where in (key, "fmax")  # a small sample rate also makes fmax too large
    assert str(value) in str(refusal.value) or refusal.value.where == "fmax"

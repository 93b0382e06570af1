"""Degraded copies of crops: of one length and level, random, and poorer than the crop."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrewatch_trainer.distillation.crops import LEVEL
from genrewatch_trainer.distillation.degraded import LINKS, degraded, reverberant

RATE, N = 22_050, 44_100


@pytest.fixture
def crop(rng: np.random.Generator) -> np.ndarray:
    return (LEVEL * rng.standard_normal(N)).astype(np.float32)


def test_copies_have_the_length_and_level_of_the_crop_and_differ(crop: np.ndarray, rng: np.random.Generator) -> None:
    copies = [degraded(crop, RATE, (), rng) for _ in range(8)]
    for copy in copies:
        assert copy.shape == crop.shape
        assert copy.dtype == np.float32
        assert np.sqrt((copy**2).mean()) == pytest.approx(LEVEL, rel=1e-3)
        assert np.abs(copy - crop).max() > 0.01
    assert len({copy.tobytes() for copy in copies}) == len(copies)


def test_the_same_seed_gives_the_same_copies(crop: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    soundfile.write(path, np.sin(np.arange(N)) / 4, RATE)
    one, two = (degraded(crop, RATE, [path], np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(one, two)


def test_every_link_narrows_or_coarsens_white_noise(crop: np.ndarray, rng: np.random.Generator) -> None:
    for link in LINKS[:-1]:  # the last one is MP3, which ffmpeg makes
        power = np.square(np.abs(np.fft.rfft(link(crop, RATE, rng)[:N])))
        assert power[-N // 20 :].mean() < 0.1 * power.mean()


def test_a_room_goes_on_sounding(rng: np.random.Generator) -> None:
    click = np.zeros(N, np.float32)
    click[100] = 1
    wet = np.square(reverberant(click, RATE, rng), dtype=np.float64)
    assert wet[100 + RATE // 50 :].sum() > 0.02 * wet.sum()

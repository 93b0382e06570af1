"""Crops as they arrive in the field, made from samples: narrow bands, coarse coding, noise and rooms, all random.

Rooms and noises differ from those of `genrewatch-train robustness`, whose sound it should not learn from.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator
from scipy.signal import fftconvolve

from genrewatch.contract.front_end import Samples
from genrewatch_trainer.data.not_music import noise
from genrewatch_trainer.distillation.crops import CropChanges, at_level, equalised, random_crop
from genrewatch_trainer.evaluation.robustness_conditions import band, gain_controlled, mp3, mu_law

ROOM_PERCENT, NOISE_PERCENT, LINK_PERCENT = 45, 60, 55
MOST_EQUALISED_DB = 8
SNR_DB = (0.0, 20.0)
RT60_S = (0.2, 0.9)
DIRECT_DB = (-9.0, 6.0)
"""Direct sound and first reflections, relative to the reverberation."""
REFLECTIONS, REFLECTED_WITHIN_S = 8, 0.03
HIGHEST_HZ, LOWEST_HZ = (3000.0, 9000.0), (40.0, 400.0)
MP3_KBIT_S = (16, 24, 32, 48, 64)
NOT_CHANGED = CropChanges(mix_percent=25, equalise_percent=0)


def degraded(crop: Samples, rate: int, noises: Sequence[Path], rng: Generator) -> Samples:
    """Degrade a crop (n,) at `rate`: a room, then noise, then a link, each with some probability, at least one.

    Noise is from the files `noises` or, where there are none and for a third of the crops, synthetic.
    """
    steps = [rng.uniform(0, 100) < percent for percent in (ROOM_PERCENT, NOISE_PERCENT, LINK_PERCENT)]
    if not any(steps):
        steps[int(rng.integers(3))] = True
    in_room, in_noise, over_link = steps
    changed = at_level(reverberant(crop, rate, rng)) if in_room else crop
    if in_noise:
        changed = at_level(changed) + _noise(len(crop), rate, noises, rng) * 10 ** (-rng.uniform(*SNR_DB) / 20)
    if over_link:
        changed = LINKS[int(rng.integers(len(LINKS)))](changed, rate, rng)
    return at_level(np.resize(changed, len(crop)).astype(np.float32))


def reverberant(samples: Samples, rate: int, rng: Generator) -> Samples:
    """Reverberate by a random response: direct sound, some reflections, decaying noise; and equalise."""
    rt60_s = rng.uniform(*RT60_S)
    t = np.arange(round(rt60_s * rate)) / rate
    decaying = rng.standard_normal(len(t)) * 10 ** (-3 * t / rt60_s)
    tail = band(decaying.astype(np.float32), rate, rng, low=60, high=rng.uniform(2500, 9000), order=1)
    first = np.zeros(len(t))
    first[0] = 1
    at = rng.integers(1, round(REFLECTED_WITHIN_S * rate), REFLECTIONS)
    first[at] += rng.uniform(-0.6, 0.6, REFLECTIONS)
    energy = np.square(first).sum() / max(float(np.square(tail).sum()), 1e-12)
    response = first + tail * np.sqrt(energy) * 10 ** (-rng.uniform(*DIRECT_DB) / 20)
    wet = fftconvolve(samples, response.astype(np.float32))[: len(samples)].astype(np.float32)
    return equalised(wet, rate, MOST_EQUALISED_DB, rng)


def _noise(n: int, rate: int, noises: Sequence[Path], rng: Generator) -> Samples:
    if noises and rng.uniform() < 2 / 3:
        return random_crop(noises, n, rate, NOT_CHANGED, rng)
    return at_level(noise(n, rate, rng))


def _narrow(samples: Samples, rate: int, rng: Generator) -> Samples:
    return band(
        samples, rate, rng, low=rng.uniform(*LOWEST_HZ), high=rng.uniform(*HIGHEST_HZ), order=int(rng.integers(1, 9))
    )


def _up_to(samples: Samples, rate: int, rng: Generator) -> Samples:
    return band(samples, rate, rng, low=10, high=rng.uniform(*HIGHEST_HZ), order=8)


def _telephone(samples: Samples, rate: int, rng: Generator) -> Samples:
    narrow = band(
        samples, rate, rng, low=rng.uniform(200, 400), high=rng.uniform(3000, 3800), order=int(rng.integers(2, 9))
    )
    return mu_law(narrow, rate, rng, hz=8_000) if rng.uniform() < 0.7 else narrow


def _overdriven(samples: Samples, rate: int, rng: Generator) -> Samples:
    narrow = gain_controlled(at_level(_narrow(samples, rate, rng)), rate, rng)
    clipped: Samples = np.tanh(narrow * np.float32(rng.uniform(2, 12))).astype(np.float32)
    return clipped


def _mp3(samples: Samples, rate: int, rng: Generator) -> Samples:
    return mp3(samples, rate, rng, kbit_s=int(rng.choice(MP3_KBIT_S)))


LINKS: tuple[Callable[[Samples, int, Generator], Samples], ...] = (_narrow, _up_to, _telephone, _overdriven, _mp3)

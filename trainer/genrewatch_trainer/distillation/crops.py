"""Augmented random crops of real music, as samples: input of a teacher and, through the front end, of its student.

song -> stretch at another speed -> mixed with another song -> equalised -> (segment_samples,) at one level
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from genrewatch.audio.decoding import read_filtered
from genrewatch.audio.resample import Resampler
from genrewatch.contract.front_end import Samples

LEVEL = 0.1  # root mean square of a crop; networks and teachers here do not depend on it
QUIETEST_MIX_DB = -15.0
EQUALISER_KNOTS = 7
LOWEST_KNOT_HZ = 60.0
SONGS_IN_MEMORY = 1000


@dataclass(frozen=True, kw_only=True)
class CropChanges:
    """Random changes to crops; zero switches one off. Field names are a format on disk."""

    speed_percent: int = 10
    """Speed, and with it pitch and tempo: up to this much faster or slower, in percent."""
    mix_percent: int = 25
    """Share of crops to which another song is added, up to 15 dB quieter."""
    equalise_percent: int = 70
    """Share of crops that are equalised."""
    equalise_db: int = 10
    """Range of the equaliser: a smooth random curve over octaves, up to this much up or down."""


def random_crop(songs: Sequence[Path], n_samples: int, rate: int, how: CropChanges, rng: Generator) -> Samples:
    """Draw (n_samples,) float32 at `rate` and a fixed level, from a random place of a random song."""
    crop = _stretch(songs, n_samples, rate, how, rng)
    if rng.uniform(0, 100) < how.mix_percent:
        crop = crop + _stretch(songs, n_samples, rate, how, rng) * 10 ** (rng.uniform(QUIETEST_MIX_DB, 0) / 20)
    if rng.uniform(0, 100) < how.equalise_percent:
        crop = equalised(crop, rate, how.equalise_db, rng)
    return at_level(crop)


def equalised(samples: Samples, rate: int, most_db: int, rng: Generator) -> Samples:
    """Equalise by a smooth random gain, piecewise linear in dB over the octaves, each knot within `most_db`."""
    n_fft = next_fast_len(len(samples), real=True)  # the padding takes what wraps around
    spectrum = rfft(samples, n_fft)
    hz = rfftfreq(n_fft, 1 / rate)
    knots = np.geomspace(LOWEST_KNOT_HZ, rate / 2, EQUALISER_KNOTS)
    gain_db = np.interp(np.log(np.maximum(hz, 1.0)), np.log(knots), rng.uniform(-most_db, most_db, EQUALISER_KNOTS))
    changed: Samples = irfft(spectrum * 10 ** (gain_db / 20), n_fft)[: len(samples)].astype(np.float32)
    return changed


def at_level(samples: Samples) -> Samples:
    """Scale to the fixed level; digital silence stays silent."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return (samples * np.float32(LEVEL / max(rms, 1e-6))).astype(np.float32)


def _stretch(songs: Sequence[Path], n_samples: int, rate: int, how: CropChanges, rng: Generator) -> Samples:
    song = _song(songs[int(rng.integers(len(songs)))], rate)
    speed = 1 + rng.uniform(-how.speed_percent, how.speed_percent) / 100
    played_at = round(rate * speed)
    wanted = -(-n_samples * played_at // rate) + 1
    start = int(rng.integers(max(len(song) - wanted, 0) + 1))
    stretch = np.resize(song[start : start + wanted], wanted).astype(np.float32) / np.float32(32768)
    resampled = Resampler(played_at, rate).push(stretch, last=True)
    return at_level(np.pad(resampled, (0, max(0, n_samples - len(resampled))))[:n_samples])


@lru_cache(maxsize=SONGS_IN_MEMORY)
def _song(path: Path, rate: int) -> NDArray[np.int16]:
    """Decode a song to 16 bit, so hours of music fit in a gigabyte."""
    samples = read_filtered(path, rate)
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)

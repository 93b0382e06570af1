"""Clips as they arrive in the field, made in the mel domain, so that a head can learn them from a store without audio.

Band-limited sound has nothing outside its band; noise adds its power to every cell; a room smears the power over time.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from genrewatch.contract.front_end import FrontEndConfig, PowerDb, mel_edges

Change = Callable[[PowerDb, FrontEndConfig, Generator], PowerDb]
QUIETEST_NOISE_DB, LOUDEST_NOISE_DB = -20.0, -3.0
"""Level of the noise, relative to the clip."""
RT60_S = (0.3, 0.8)
EQUALISER_KNOTS = 7
EQUALISER_DB = 6.0
LOWEST_KNOT_HZ = 60.0


def narrowed(power_db: PowerDb, config: FrontEndConfig, rng: Generator, *, low: float, high: float) -> PowerDb:
    """Keep the bands (n_frames, n_mels) between `low` and `high` Hz; the others fall to the front end's floor."""
    centres = mel_edges(config)[1:-1]
    changed = np.array(power_db)
    changed[:, (centres < low) | (centres > high)] = config.floor_db
    return changed


def noisy(power_db: PowerDb, config: FrontEndConfig, rng: Generator) -> PowerDb:
    """Add noise whose spectrum falls by 0 to 3.6 dB an octave and whose level changes from frame to frame."""
    edges, power = mel_edges(config), _power(power_db)
    widths = edges[2:] - edges[:-2]
    level_db = rng.uniform(QUIETEST_NOISE_DB, LOUDEST_NOISE_DB)
    noise = edges[1:-1] ** -rng.uniform(0, 1.2) * rng.chisquare(4, power.shape) / 4
    noise *= np.exp(rng.normal(0, 0.5, (len(power), 1)))
    scale = (power * widths).sum() / max(float((noise * widths).sum()), 1e-30)
    return _power_db(power + noise * scale * 10 ** (level_db / 10), config)


def reverberant(power_db: PowerDb, config: FrontEndConfig, rng: Generator) -> PowerDb:
    """Smear the power over time, as a room does, and equalise it, as a loudspeaker and a small microphone do."""
    power = _power(power_db)
    kept = 10 ** (-6 * config.hop_length / config.sample_rate / rng.uniform(*RT60_S))
    direct = 0.1 * 10 ** rng.uniform(0, 0.8)
    late = np.empty_like(power)
    left = np.zeros(config.n_mels)
    for frame, arriving in enumerate(power):
        left = kept * left + (1 - kept) * arriving
        late[frame] = left
    knots_hz = np.geomspace(LOWEST_KNOT_HZ, config.fmax, EQUALISER_KNOTS)
    knots_db = rng.uniform(-EQUALISER_DB, EQUALISER_DB, EQUALISER_KNOTS)
    gain_db = np.interp(np.log(mel_edges(config)[1:-1]), np.log(knots_hz), knots_db)
    return _power_db((direct * power + late) * 10 ** (gain_db / 10), config)


CHANGES: dict[str, Change] = {
    "up to 8 kHz": partial(narrowed, low=0, high=8000),
    "up to 5.5 kHz": partial(narrowed, low=0, high=5500),
    "up to 4 kHz": partial(narrowed, low=0, high=4000),
    "telephone": partial(narrowed, low=300, high=3400),
    "noise": noisy,
    "room": reverberant,
}


def _power(power_db: PowerDb) -> NDArray[np.float64]:
    return np.power(10, power_db / 10, dtype=np.float64)


def _power_db(power: NDArray[np.float64], config: FrontEndConfig) -> PowerDb:
    floored: PowerDb = np.maximum(10 * np.log10(np.maximum(power, 1e-30)), config.floor_db).astype(np.float32)
    return floored

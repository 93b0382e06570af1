"""Augmentation of training segments in the mel domain, in numpy; every draw comes from the generator handed in.

clip (n_frames, n_mels) dB -> cut -> equalise, shift, noise -> front end's scale -> blank -> mix with another
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from genrewatch.contract.front_end import FrontEnd, LogMel, PowerDb
from genrewatch_trainer.training.recipes import Augmentation

EQUALISER_KNOTS = 6


def random_segment(power_db: PowerDb, front_end: FrontEnd, how: Augmentation, rng: Generator) -> LogMel:
    """Cut one augmented segment (segment_frames, n_mels) in [0, 1] from a clip (n_frames, n_mels) in dB."""
    config = front_end.config
    segment = cut(power_db, config.segment_frames, how.stretch_percent, rng)
    if how.equalise_db:
        segment = segment + equaliser(config.n_mels, how.equalise_db, rng)
    if how.mel_shift_bands:
        shift = int(rng.integers(-how.mel_shift_bands, how.mel_shift_bands + 1))
        segment = shift_bands(segment, shift, floor_db=config.floor_db)
    if how.noise_floor_db:
        floor = segment.max() - config.range_db + rng.uniform(0, how.noise_floor_db)
        segment = np.maximum(segment, np.float32(floor))
    scaled = front_end.scale(np.maximum(segment, np.float32(config.floor_db)).astype(np.float32))
    blank(scaled, axis=0, longest=how.time_mask_frames, rng=rng)
    blank(scaled, axis=1, longest=how.mel_mask_bands, rng=rng)
    return scaled


def cut(power_db: PowerDb, segment_frames: int, stretch_percent: int, rng: Generator) -> PowerDb:
    """Cut a random segment; with `stretch_percent` a longer or shorter one, interpolated linearly to length."""
    factor = 1 + rng.uniform(-stretch_percent, stretch_percent) / 100 if stretch_percent else 1.0
    length = min(round(segment_frames * factor), len(power_db))
    start = int(rng.integers(len(power_db) - length + 1))
    source = np.array(power_db[start : start + length])
    if length == segment_frames:
        return source
    at = np.linspace(0, length - 1, segment_frames)
    low = np.minimum(at.astype(np.int64), length - 2)
    share = (at - low).astype(np.float32)[:, None]
    stretched: PowerDb = source[low] * (1 - share) + source[low + 1] * share
    return stretched


def equaliser(n_mels: int, most_db: int, rng: Generator) -> NDArray[np.float32]:
    """Draw a smooth random gain (n_mels,) in dB, piecewise linear over the bands."""
    knots = rng.uniform(-most_db, most_db, EQUALISER_KNOTS)
    return np.interp(np.linspace(0, 1, n_mels), np.linspace(0, 1, EQUALISER_KNOTS), knots).astype(np.float32)


def shift_bands(segment: PowerDb, bands: int, *, floor_db: int) -> PowerDb:
    """Shift a segment up (or down, if negative) by `bands`; the bands that become free are silent."""
    moved = np.full_like(segment, floor_db)
    n_mels = segment.shape[1]
    if bands >= 0:
        moved[:, bands:] = segment[:, : n_mels - bands]
    else:
        moved[:, :bands] = segment[:, -bands:]
    return moved


def blank(scaled: PowerDb, *, axis: int, longest: int, rng: Generator) -> None:
    """Set two random stretches along `axis` to 0, in place (SpecAugment, Park et al. 2019)."""
    for _ in range(2 if longest else 0):
        length = int(rng.integers(longest + 1))
        start = int(rng.integers(scaled.shape[axis] - length + 1))
        stretch = slice(start, start + length)
        scaled[stretch if axis == 0 else (slice(None), stretch)] = 0


def mixup(
    x: NDArray[np.float32], y: NDArray[np.float32], alpha: float, rng: Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mix each item of a batch with another one, inputs and one-hot labels alike (Zhang et al. 2018)."""
    if not alpha:
        return x, y
    share = rng.beta(alpha, alpha, len(x)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    other = rng.permutation(len(x))
    in_x = share.reshape(-1, *[1] * (x.ndim - 1))
    return x * in_x + x[other] * (1 - in_x), y * share[:, None] + y[other] * (1 - share[:, None])

"""Mel-frequency cepstral coefficients from a stored log-mel, by an orthonormal DCT-II over the bands (Davis and
Mermelstein 1980), so nothing of the waveform is needed: as statistics of a clip, and as a picture for the network.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.front_end import FrontEndConfig, PowerDb
from genrewatch_trainer.data.store import Store, new_store

PICTURE_COEFFICIENTS = 40
"""Rows of the network's MFCC picture, or as many as there are bands; five poolings need 32."""
STATISTICS_COEFFICIENTS = 20
RANGE_DB = 80
"""What lies further below a clip's loudest cell is cut off, as librosa's `top_db` does before its MFCC."""
SPREAD = 4.0
"""Standard deviations to either side of a coefficient's mean that the picture shows."""


def dct_basis(n_coefficients: int, n_bands: int) -> NDArray[np.float32]:
    """(n_coefficients, n_bands) rows of the orthonormal DCT-II."""
    k, band = np.arange(n_coefficients)[:, None], np.arange(n_bands)
    basis = np.sqrt(2 / n_bands) * np.cos(np.pi * k * (2 * band + 1) / (2 * n_bands))
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)


def mfcc(power_db: PowerDb, n_coefficients: int) -> NDArray[np.float32]:
    """A whole clip (n_frames, n_mels) dB -> (n_frames, n_coefficients), of dB below the clip's loudest cell: how loud
    a recording is says nothing of its genre.
    """
    below = np.maximum(power_db - power_db.max(), -np.float32(RANGE_DB))
    coefficients: NDArray[np.float32] = below @ dct_basis(n_coefficients, power_db.shape[1]).T
    return coefficients


def statistics(power_db: PowerDb) -> NDArray[np.float64]:
    """A clip (n_frames, n_mels) dB -> (3 * n,): mean and deviation of each coefficient, deviation of its change."""
    found = mfcc(power_db, min(STATISTICS_COEFFICIENTS, power_db.shape[1])).astype(np.float64)
    return np.concatenate([found.mean(axis=0), found.std(axis=0), np.diff(found, axis=0).std(axis=0)])


def picture_front_end(front_end: FrontEndConfig) -> FrontEndConfig:
    """Says of a picture of MFCC what the trainer must know. With nothing above 0 dB and a floor that is just the
    range below, the scale to [0, 1] is the same for every segment.
    """
    n = min(PICTURE_COEFFICIENTS, front_end.n_mels)
    return replace(front_end, n_mels=n, floor_db=-RANGE_DB, range_db=RANGE_DB)


def write_picture_store(
    store: Store, path: Path, *, scheme: str, parts: dict[str, str], train: tuple[str, ...]
) -> None:
    """Writes the MFCC of all clips as a store, -RANGE_DB to 0; mean and deviation are those of the training parts."""
    front_end = picture_front_end(store.index.front_end)
    clips = store.index.clips
    learned = [i for i, clip in enumerate(clips) if parts.get(clip.name) in train]
    frames = np.concatenate([mfcc(store.clip(i), front_end.n_mels) for i in learned])
    mean, deviation = frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64)
    provenance = f"{front_end.n_mels} MFCC of {store.index.provenance}, scaled by {scheme} {' '.join(train)}"
    with new_store(path, front_end, provenance=provenance, splits={scheme: parts}) as writer:
        for i, clip in enumerate(clips):
            z = (mfcc(store.clip(i), front_end.n_mels) - mean) / np.maximum(deviation, 1e-9)
            shown = (np.clip(z, -SPREAD, SPREAD) / SPREAD - 1) * (RANGE_DB / 2)
            writer.add(shown.astype(np.float32), name=clip.name, label=clip.label, track=clip.track, artist=clip.artist)

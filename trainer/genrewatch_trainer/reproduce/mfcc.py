"""Mel-frequency cepstral coefficients from a stored log-mel: as statistics of a clip and as input of the network.

They are an orthonormal DCT-II over the bands (Davis and Mermelstein 1980), so the waveform is not needed.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.front_end import FrontEndConfig, PowerDb
from genrewatch_trainer.data.store import Store, new_store

NETWORK_COEFFICIENTS = 40
"""Coefficients in the network's input, at most the number of bands; five poolings need 32."""
STATISTICS_COEFFICIENTS = 20
RANGE_DB = 80
"""Cells further below a clip's loudest one are raised to this, as by librosa's `top_db` before its MFCC."""
SPREAD = 4.0
"""Standard deviations to either side of a coefficient's mean within the network's input range."""


def dct_basis(n_coefficients: int, n_bands: int) -> NDArray[np.float32]:
    """Return (n_coefficients, n_bands), rows of the orthonormal DCT-II."""
    k, band = np.arange(n_coefficients)[:, None], np.arange(n_bands)
    basis = np.sqrt(2 / n_bands) * np.cos(np.pi * k * (2 * band + 1) / (2 * n_bands))
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)


def mfcc(power_db: PowerDb, n_coefficients: int) -> NDArray[np.float32]:
    """Compute MFCC (n_frames, n_coefficients) of a whole clip (n_frames, n_mels) dB.

    Power is relative to the clip's loudest cell, because the level of a recording does not depend on its genre.
    """
    below = np.maximum(power_db - power_db.max(), -np.float32(RANGE_DB))
    coefficients: NDArray[np.float32] = below @ dct_basis(n_coefficients, power_db.shape[1]).T
    return coefficients


def statistics(power_db: PowerDb) -> NDArray[np.float64]:
    """Return (3 * n,) of a clip (n_frames, n_mels) dB: each coefficient's mean and deviation, that of its change."""
    found = mfcc(power_db, min(STATISTICS_COEFFICIENTS, power_db.shape[1])).astype(np.float64)
    return np.concatenate([found.mean(axis=0), found.std(axis=0), np.diff(found, axis=0).std(axis=0)])


def mfcc_front_end(front_end: FrontEndConfig) -> FrontEndConfig:
    """Return the front end that describes MFCC stored as if they were a log-mel.

    All values lie between -RANGE_DB and 0, so the scale to [0, 1] is the same for every segment.
    """
    n = min(NETWORK_COEFFICIENTS, front_end.n_mels)
    return replace(front_end, n_mels=n, floor_db=-RANGE_DB, range_db=RANGE_DB)


def write_mfcc_store(store: Store, path: Path, *, scheme: str, parts: dict[str, str], train: tuple[str, ...]) -> None:
    """Write the MFCC of all clips as a store, -RANGE_DB to 0, scaled by mean and deviation of the training parts."""
    front_end = mfcc_front_end(store.index.front_end)
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

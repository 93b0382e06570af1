"""librosa's log-mel, the independent reference for ours."""

import numpy as np

from genrewatch.contract.front_end import FrontEnd, FrontEndConfig, PowerDb, Samples

AGREEMENT_DB = 1e-3
"""Largest difference of a cell that counts as the same."""


def librosa_power_db(samples: Samples, config: FrontEndConfig) -> PowerDb:
    """Compute samples (n,) -> (n_frames, n_mels) in dB re 1.0 by librosa."""
    import librosa

    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=config.sample_rate,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        n_mels=config.n_mels,
        fmin=config.fmin,
        fmax=config.fmax,
        center=False,
    )
    power_db = librosa.power_to_db(mel, amin=10 ** (config.floor_db / 10), top_db=None)
    return np.asarray(power_db, np.float32).T


def difference_db(samples: Samples, config: FrontEndConfig) -> float:
    """Return the largest difference of a cell between our front end and librosa on these samples, in dB."""
    ours = FrontEnd(config).power_db(samples)
    return float(np.abs(ours - librosa_power_db(samples, config)).max())

"""The band that carries sound, from the mel power of segments.

A narrow link (a camera at 8 kHz, a telephone, a low bit rate) ends in a cliff: from one frequency on nothing is left.
Music itself becomes weaker towards the treble, but gradually. So the band ends at the lowest cliff in the long-term
level of the mel bands, and is full where there is none.
"""

import numpy as np

from genrewatch.contract.front_end import FrontEndConfig, PowerDb, mel_edges

CLIFF_DB = 22.0
"""The level of everything above a cliff, relative to that below it."""
CLIFF_BANDS = 4
"""Mel bands within which it falls."""
LOWEST_HZ = 2000.0
"""A cliff below is taken for the sound's own: a bass, a hum."""
FORGOTTEN_DB = 0.2
"""Decay of the long-term level, dB per segment."""
EVERY = 8
"""Frames of a segment from one that counts to the next: a segment overlaps its neighbours, and powers cost time."""
STEADY = 8
"""Segments that must agree, within a band, before a bandwidth is reported."""
STEP_HZ = 100

NARROW = 0.8
"""Part of the model's band below which a source counts as narrow."""


def is_narrow(bandwidth_hz: int, full_hz: float) -> bool:
    """Return whether a source carries less of the model's band, up to `full_hz`, than the model was trained for."""
    return bandwidth_hz < NARROW * full_hz


class BandwidthMeter:
    """Measures the bandwidth of one stream."""

    def __init__(self, config: FrontEndConfig) -> None:
        self._edges, self._full_hz = mel_edges(config), config.fmax
        self._level = np.full(config.n_mels, -np.inf)  # dB, the long-term maximum
        self._found: list[int] = []  # mel bands, newest last
        self.bandwidth_hz: int | None = None
        """Upper end of the band that carries sound, at most that of the front end; None until it is known."""

    def update(self, power_db: PowerDb) -> None:
        """Take a segment (segment_frames, n_mels) with sound, dB."""
        mean_db = 10 * np.log10(np.power(10, power_db[::EVERY] / 10, dtype=np.float64).mean(axis=0))
        self._level = np.maximum(self._level - FORGOTTEN_DB, mean_db)
        self._found = [*self._found[1 - STEADY :], self._last_band()]
        if len(self._found) == STEADY and max(self._found) - min(self._found) <= 1:
            last = max(self._found)
            end = self._full_hz if last == len(self._level) - 1 else float(self._edges[last + 1])
            self.bandwidth_hz = self._full_hz if end == self._full_hz else round(end / STEP_HZ) * STEP_HZ

    def _last_band(self) -> int:
        """Return the highest band below the lowest cliff, or the last band."""
        above = np.maximum.accumulate(self._level[::-1])[::-1]  # the loudest of each band and all above it
        cliffs = np.flatnonzero(above[:-CLIFF_BANDS] - above[CLIFF_BANDS:] >= CLIFF_DB)
        cliffs = cliffs[self._edges[1:-1][cliffs] >= LOWEST_HZ]
        if not len(cliffs):
            return len(self._level) - 1
        around = above[cliffs[0] : cliffs[0] + CLIFF_BANDS + 1]
        return int(cliffs[0] + np.diff(around).argmin())

"""Sound levels, silence and dead air. The level of digital silence is None, never 0."""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from genrewatch.contract.errors import require
from genrewatch.contract.front_end import Samples

CLIPPED = np.float32(0.99)  # after resampling, which moves the flat top of a clipped wave a little


SILENCE_LIMITS = (-140, -10)
"""Lowest and highest `LevelConfig.silence_dbfs`."""


@dataclass(frozen=True, kw_only=True)
class LevelConfig:
    """Limits of silence and dead air."""

    silence_dbfs: float = -65.0
    """A hop below this level is silent, dBFS (RMS; a full-scale sine is -3)."""
    hysteresis_db: float = 4.0
    """Silence ends only this far above `silence_dbfs`, dB."""
    dead_air_s: float = 20.0
    """Seconds of silence that make dead air."""
    sound_returns_s: float = 4.0
    """Seconds of uninterrupted sound that end dead air, so that a crackle does not."""

    def __post_init__(self) -> None:
        low, high = SILENCE_LIMITS
        require(low <= self.silence_dbfs <= high, "silence_dbfs", self.silence_dbfs, f"{low:g} to {high:g}")
        require(0 <= self.hysteresis_db <= 40, "hysteresis_db", self.hysteresis_db, "0 to 40")
        require(1 <= self.dead_air_s <= 86_400, "dead_air_s", self.dead_air_s, "1 to 86400")
        require(0 <= self.sound_returns_s <= 3600, "sound_returns_s", self.sound_returns_s, "0 to 3600")


@dataclass(frozen=True, kw_only=True)
class Level:
    """The level of a stretch of sound."""

    dbfs: float | None
    """RMS level of the music, without offset and what the pre-filter takes off, dB re full scale (a full-scale sine is
    -3.01); None when all samples are equal."""
    peak_dbfs: float | None
    """The largest sample, dB re full scale; None for digital silence."""
    clipped: float
    """Share of samples at full scale, 0 to 1."""
    dc: float
    """Mean of the samples, full scale being 1."""


def measure(samples: Samples, raw: Samples | None = None) -> Level:
    """Return the level of (n,) samples; peak, clipping and offset are those of `raw`, (n,) before the pre-filter."""
    raw = samples if raw is None else raw
    if not len(samples):
        return Level(dbfs=None, peak_dbfs=None, clipped=0.0, dc=0.0)
    loudness = np.abs(raw)
    peak = float(loudness.max())
    return Level(
        dbfs=level_dbfs(samples) if np.ptp(raw) != 0 else None,  # the filter's decay is no sound
        peak_dbfs=20 * math.log10(peak) if peak > 0 else None,
        clipped=np.count_nonzero(loudness >= CLIPPED) / len(raw),
        dc=float(raw.mean(dtype=np.float64)),
    )


def level_dbfs(samples: Samples) -> float | None:
    """Return the RMS level of (n,) samples without their mean, dB re full scale; None when all are equal."""
    if not len(samples) or np.ptp(samples) == 0:
        return None
    power = float(np.var(samples))
    return 10 * math.log10(power) if power > 0 else None


class LevelGate:
    """Detects silence and dead air from the level of each hop.

    A segment is silent when more than half of its hops are, with hysteresis from hop to hop. Dead air has hysteresis in
    time. A gap counts as neither silence nor sound.
    """

    def __init__(self, config: LevelConfig, *, hops_per_segment: int, hop_s: float) -> None:
        self._config, self._hop_s = config, hop_s
        self._silent = self.dead_air = False
        self._same_s = 0.0  # since silence became sound or sound silence
        self._recent: deque[bool] = deque(maxlen=max(1, hops_per_segment))

    def add(self, hop_dbfs: float | None) -> None:
        """Take the level of the next hop, dBFS."""
        limit = self._config.silence_dbfs + (self._config.hysteresis_db if self._silent else 0)
        silent = hop_dbfs is None or hop_dbfs < limit
        self._same_s = self._hop_s + (self._same_s if silent == self._silent else 0)
        self._silent = silent
        if self._same_s >= (self._config.dead_air_s if silent else self._config.sound_returns_s):
            self.dead_air = silent
        self._recent.append(silent)

    @property
    def silent(self) -> bool:
        """True when the newest segment is silent."""
        return 2 * sum(self._recent) > len(self._recent)

    def clear(self) -> None:
        """Drop the hops before a gap; dead air stays until sound has returned."""
        self._recent.clear()

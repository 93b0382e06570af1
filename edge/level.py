"""How loud it is, and when that is silence. True level after DC: digital silence has none, and is never 0."""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from edge.contract.errors import require
from edge.contract.front_end import Samples


@dataclass(frozen=True, kw_only=True)
class LevelConfig:
    """When sound counts as silence."""

    silence_dbfs: float = -65.0
    """A hop below this level is silent, dBFS (RMS; a full-scale sine is -3)."""
    hysteresis_db: float = 4.0
    """Silence ends only this far above `silence_dbfs`, dB."""

    def __post_init__(self) -> None:
        require(-140 <= self.silence_dbfs <= -10, "silence_dbfs", self.silence_dbfs, "-140 to -10")
        require(0 <= self.hysteresis_db <= 40, "hysteresis_db", self.hysteresis_db, "0 to 40")


def level_dbfs(samples: Samples) -> float | None:
    """RMS level of (n,) samples without their mean, dB re full scale; None when they do not move at all."""
    if not len(samples) or np.ptp(samples) == 0:
        return None
    power = float(np.var(samples))
    return 10 * math.log10(power) if power > 0 else None


class LevelGate:
    """Says of each segment whether it is silent: more than half of its hops are, with hysteresis from hop to hop."""

    def __init__(self, config: LevelConfig, *, hops_per_segment: int) -> None:
        self._config = config
        self._silent = False
        self._recent: deque[bool] = deque(maxlen=max(1, hops_per_segment))

    def add(self, hop_dbfs: float | None) -> None:
        """Takes the level of the next hop."""
        limit = self._config.silence_dbfs + (self._config.hysteresis_db if self._silent else 0)
        self._silent = hop_dbfs is None or hop_dbfs < limit
        self._recent.append(self._silent)

    @property
    def silent(self) -> bool:
        """Whether the newest segment is silent."""
        return 2 * sum(self._recent) > len(self._recent)

    def clear(self) -> None:
        """Forgets the hops before a gap."""
        self._recent.clear()

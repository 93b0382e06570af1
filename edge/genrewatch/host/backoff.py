"""Pauses between attempts at something that fails: longer after each failure, and never the same for two nodes."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Exponential backoff with jitter."""

    first_s: float = 1.0
    """Longest pause after the first failure, seconds; each further failure doubles it."""
    max_s: float = 60.0
    """Longest pause of all, seconds."""

    def delay_s(self, failures: int, rng: random.Random) -> float:
        """Return the pause after `failures` (at least 1) in a row, drawn from the upper half of its range."""
        return min(self.max_s, self.first_s * 2.0 ** min(failures - 1, 20)) * rng.uniform(0.5, 1.0)

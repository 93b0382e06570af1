"""Widening of the hop while inference is slower than the sound arrives."""

import time
from collections.abc import Callable
from typing import Protocol


class HopControl(Protocol):
    """Choice of the hop after each segment."""

    def hop_factor(self, hop_s: float) -> int:
        """Return the number of hops, of `hop_s` seconds each, to the next segment."""


class EveryHop:
    """Constant hop, for files and other sound that waits for its reader."""

    def hop_factor(self, hop_s: float) -> int:
        """Return 1."""
        return 1


class WidenWhenLate:
    """A hop that doubles each time that sound has waited for `LATE_S`, and halves after `CALM_S` without waiting.

    A burst (a buffer sent at connection, a chunk of HLS) is processed at once and does not widen the hop.
    """

    LATE_S = 2.0
    """Seconds of the monotonic clock during which sound waits before the hop is doubled."""
    CALM_S = 10.0
    """Seconds without waiting before the hop is halved."""
    WIDEST = 16
    """Largest factor."""

    def __init__(self, waiting_s: Callable[[], float], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._waiting_s, self._now = waiting_s, monotonic
        self._factor, self._late, self._since = 1, False, monotonic()

    def hop_factor(self, hop_s: float) -> int:
        """Return the factor; sound is late when more than one hop of it waits."""
        now, late = self._now(), self._waiting_s() > hop_s
        if late != self._late:
            self._late, self._since = late, now
        if now - self._since >= (self.LATE_S if late else self.CALM_S):
            self._factor = min(2 * self._factor, self.WIDEST) if late else max(1, self._factor // 2)
            self._since = now
        return self._factor

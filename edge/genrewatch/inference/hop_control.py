"""What to do when inference cannot keep up with the sound: look less often, and say so, until it can."""

import time
from collections.abc import Callable
from typing import Protocol


class HopControl(Protocol):
    """Decides after each segment how far it is to the next."""

    def hop_factor(self, hop_s: float) -> int:
        """Hops, of `hop_s` seconds each, that it should be from segment to segment from now on."""


class EveryHop:
    """For sound that waits for us."""

    def hop_factor(self, hop_s: float) -> int:
        """See `HopControl`."""
        return 1


class WidenWhenLate:
    """Doubles the hop each time that sound has been waiting for a while, and halves it after a longer calm.

    A burst (a station's greeting, a chunk of HLS) is worked off in an instant and widens nothing.
    """

    LATE_S = 2.0
    """Sound that waits this long in a row, by the clock, widens the hop."""
    CALM_S = 10.0
    """This long without waiting narrows it."""
    WIDEST = 16

    def __init__(self, waiting_s: Callable[[], float], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._waiting_s, self._now = waiting_s, monotonic
        self._factor, self._late, self._since = 1, False, monotonic()

    def hop_factor(self, hop_s: float) -> int:
        """See `HopControl`; it is late when more than a hop of sound waits."""
        now, late = self._now(), self._waiting_s() > hop_s
        if late != self._late:
            self._late, self._since = late, now
        if now - self._since >= (self.LATE_S if late else self.CALM_S):
            self._factor = min(2 * self._factor, self.WIDEST) if late else max(1, self._factor // 2)
            self._since = now
        return self._factor

"""The comparison of the sound that arrives on an open pipe with the clock: time that passes without sound is lost.

Sound may come ahead of the clock (a server's first burst) and late (network jitter that is caught up), so a short wait
alone loses nothing. What a wait has cost beyond that is a gap before the block that ends it.
"""

import time

from genrewatch.host.times import elapsed_s

PAUSE_S = 1.0
"""A shorter wait is no pause."""
AHEAD_S = 10.0
"""Seconds of sound that may come ahead of the clock and cover a later pause: a server's burst, a player's buffer."""
BEHIND_S = 10.0
"""Seconds by which sound that only trickles may fall behind the clock before that is a gap too."""
TOLERATED = 0.05
"""Share of real time that sound may lack for ever, since no two clocks run alike."""


class SoundClock:
    """Counts the seconds that are missing from one stream."""

    def __init__(self, *, reports_lost: bool = False) -> None:
        """With `reports_lost` the stream itself reports what it lost, except while the machine was suspended."""
        self._reports_lost = reports_lost
        self._last: float | None = None  # when the previous block arrived
        self._suspended_s = _suspended_s()
        self._ahead_s = 0.0  # negative: behind
        self.lacking_s = 0.0
        """Seconds by which the sound falls short of real time, pauses included; they are forgotten slowly."""

    def arrive(self, duration_s: float, *, excused_s: float = 0.0) -> float:
        """Take a block that has just arrived; return the seconds that are missing before it.

        `excused_s` are seconds since the previous block in which the stream was not read.
        """
        now, suspended_s = elapsed_s(), _suspended_s()
        waited_s = 0.0 if self._last is None else max(0.0, now - self._last - excused_s)
        slept_s, self._suspended_s, self._last = suspended_s - self._suspended_s, suspended_s, now
        if self._reports_lost:
            return slept_s if slept_s > PAUSE_S else 0.0
        self.lacking_s = max(0.0, self.lacking_s + waited_s * (1 - TOLERATED) - duration_s)
        return self._missing(waited_s, duration_s)

    def _missing(self, waited_s: float, duration_s: float) -> float:
        paused_s = waited_s - duration_s - max(0.0, self._ahead_s)
        if waited_s > PAUSE_S and paused_s > PAUSE_S:
            self._ahead_s = 0.0
            return paused_s
        forgiven_s = min(TOLERATED * waited_s, max(0.0, -self._ahead_s))
        self._ahead_s = min(AHEAD_S, self._ahead_s - waited_s + duration_s + forgiven_s)
        if self._ahead_s > -BEHIND_S:
            return 0.0
        behind_s, self._ahead_s = -self._ahead_s, 0.0
        return behind_s


def _suspended_s() -> float:
    """Return the seconds that this machine has been suspended since it was started."""
    return elapsed_s() - time.monotonic()

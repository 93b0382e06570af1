"""Right times for spells from before the wall clock was set, as on a Raspberry Pi, which has no clock of its own.

    wall clock       1970-01-01 00:00:09 .. 00:00:54 | 2026-11-25 18:00:00 (set from the network)
    monotonic clock               9      ..    54    |      54
    spell            17:59:15 .. 18:00:00, from the monotonic clock

A record is written once, so spells wait until the clock is set, `HOLD_S` at most.
"""

import time
from dataclasses import replace

from genrewatch.history.spell import CLOCK_STEP_S, Spell
from genrewatch.host.times import EARLIEST_MS, Timestamp, ms_to_rfc3339

HOLD_S = 600.0
"""Longest time that spells wait for the clock, from the start of the daemon."""


class SpellTimes:
    """Decides whether the clock is set, and corrects the times of spells from before."""

    def __init__(self) -> None:
        self._deadline_s = time.monotonic() + HOLD_S
        self._earliest_ms = EARLIEST_MS

    def start_after(self, last_end_ms: int | None) -> None:
        """Note the end of the last stored spell: a clock that shows an earlier time is not set yet either."""
        if last_end_ms is not None:
            self._earliest_ms = max(EARLIEST_MS, last_end_ms)

    def waiting(self, at: Timestamp) -> bool:
        """Return whether spells must wait at this time."""
        if time.monotonic() >= self._deadline_s:
            self._earliest_ms = EARLIEST_MS
            return False
        return not self._is_set(at)

    def problem(self, at: Timestamp) -> str | None:
        """Return the problem as text for people; None once the clock is set."""
        waiting = self.waiting(at)
        if self._is_set(at):
            return None
        what = f"the clock is not set ({ms_to_rfc3339(at.utc_ms)})"
        return f"{what}: spells wait for it" if waiting else f"{what}: spells are stored with this time"

    def corrected(self, spell: Spell, at: Timestamp) -> Spell:
        """Return the spell with the times that the clock, now that it is set, would have shown."""
        if not self._is_set(at):
            return spell
        start, end = self._corrected(spell.start, at), self._corrected(spell.end, at)
        if (start, end) == (spell.start, spell.end):
            return spell
        return replace(spell, start=start, end=end, clock_step_s=0.0)

    def _corrected(self, stamp: Timestamp, at: Timestamp) -> Timestamp:
        if self._is_set(stamp) or abs(at.offset_s - stamp.offset_s) <= CLOCK_STEP_S:
            return stamp
        return replace(stamp, utc_ms=at.utc_ms - round(1000 * (at.mono_s - stamp.mono_s)))

    def _is_set(self, at: Timestamp) -> bool:
        return at.utc_ms >= self._earliest_ms

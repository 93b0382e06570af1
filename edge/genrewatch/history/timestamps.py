"""Time as the history takes it down: wall-clock for people, monotonic for durations, both read at one moment."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from genrewatch.inference import payload


@dataclass(frozen=True, kw_only=True)
class Timestamp:
    """Both clocks, read together."""

    utc_ms: int
    """Wall-clock time, milliseconds since 1970 in UTC; may step."""
    mono_s: float
    """The monotonic clock, seconds since some start; never steps."""

    @property
    def offset_s(self) -> float:
        """Wall-clock less monotonic, seconds: changes when the wall clock is set."""
        return self.utc_ms / 1000 - self.mono_s


def now() -> Timestamp:
    """The moment at which it is called."""
    return Timestamp(utc_ms=time.time_ns() // 1_000_000, mono_s=time.monotonic())


def rfc3339(utc_ms: int) -> str:
    """Milliseconds since 1970 -> `2026-11-22T16:07:30.166Z`."""
    stamp = datetime.fromtimestamp(utc_ms // 1000, UTC).replace(microsecond=utc_ms % 1000 * 1000)
    return payload.rfc3339(stamp)


def from_rfc3339(text: str) -> int:
    """The inverse of `rfc3339`, for any offset from UTC; ValueError when it is no such time."""
    stamp = datetime.fromisoformat(text)
    if stamp.tzinfo is None:
        raise ValueError(f"{text} has no offset from UTC")
    return round(stamp.timestamp() * 1000)

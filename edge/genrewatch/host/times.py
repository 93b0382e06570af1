"""The clocks of the machine, and times as text: RFC 3339 in UTC for programs, local time for people."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

EARLIEST_MS = 1_735_689_600_000
"""2025-01-01 in UTC: a wall clock that shows an earlier time has not been set yet."""
_HAS_BOOTTIME = hasattr(time, "CLOCK_BOOTTIME")  # not on macOS


@dataclass(frozen=True, kw_only=True)
class Timestamp:
    """Both clocks, read together: the wall clock gives dates, the monotonic clock gives durations."""

    utc_ms: int
    """Wall-clock time, milliseconds since 1970 in UTC; may step."""
    mono_s: float
    """Monotonic clock, seconds since an arbitrary start; never steps."""

    @property
    def offset_s(self) -> float:
        """Wall clock minus monotonic clock, seconds; it changes when the wall clock is set."""
        return self.utc_ms / 1000 - self.mono_s


CLOCK_SET = timedelta(seconds=2)
"""Change of the wall clock against the monotonic clock that counts as setting it."""


class StartTime:
    """The wall-clock time at which something began; it changes only when the wall clock is set."""

    def __init__(self) -> None:
        self._began: datetime | None = None

    def text(self, elapsed_s: float, now: datetime | None = None) -> str:
        """Return the start, RFC 3339, of what has lasted for `elapsed_s` at `now` (default the present)."""
        began = (now or utc_now()) - timedelta(seconds=elapsed_s)
        if self._began is None or abs(began - self._began) > CLOCK_SET:
            self._began = began
        return rfc3339(self._began)


def now() -> Timestamp:
    """Read both clocks."""
    return Timestamp(utc_ms=time.time_ns() // 1_000_000, mono_s=time.monotonic())


def elapsed_s() -> float:
    """Read the clock that never steps and, where there is one (CLOCK_BOOTTIME), runs during a suspend too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if _HAS_BOOTTIME else time.monotonic()


def utc_now() -> datetime:
    """Read the wall clock."""
    return datetime.now(UTC)


def rfc3339(when: datetime) -> str:
    """Format a time in UTC with milliseconds: `2026-11-22T16:07:30.166Z`."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ms_to_rfc3339(utc_ms: int) -> str:
    """Format milliseconds since 1970: `2026-11-22T16:07:30.166Z`."""
    return rfc3339(_utc(utc_ms))


def rfc3339_to_ms(text: str) -> int:
    """Parse an RFC 3339 time with any offset into milliseconds since 1970; ValueError without an offset."""
    stamp = datetime.fromisoformat(text)
    if stamp.tzinfo is None:
        raise ValueError(f"{text} has no offset from UTC")
    return round(stamp.timestamp() * 1000)


def local_time(utc_ms: int, zone: tzinfo | None = None) -> datetime:
    """Convert milliseconds since 1970 to the time of a zone; None is the zone of the system."""
    return _utc(utc_ms).astimezone(zone)


def local_text(utc_ms: int) -> str:
    """Format milliseconds since 1970 as local time: `2026-11-24 18:00:00`."""
    return local_time(utc_ms).strftime("%Y-%m-%d %H:%M:%S")


def duration_text(length_ms: int) -> str:
    """Format a duration, rounded down to the second: `0:12:34`."""
    seconds = length_ms // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _utc(utc_ms: int) -> datetime:
    return datetime.fromtimestamp(utc_ms // 1000, UTC).replace(microsecond=utc_ms % 1000 * 1000)

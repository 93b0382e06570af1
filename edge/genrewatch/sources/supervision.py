"""The settings of a supervisor: time limits, restarts and the queue of one child process."""

from dataclasses import dataclass

from genrewatch.audio.mix import Channel
from genrewatch.host.backoff import Backoff

FIRST_SOUND_STALLS = 2.5
LACKING_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """Limits for one source that is a child process."""

    stall_s: float = 8.0
    """Seconds without a byte after which a child that has given sound is ended."""
    first_sound_s: float | None = None
    """Seconds that a child may take to its first sound, `inf` for no limit; default 2.5 times `stall_s`."""
    backoff: Backoff = Backoff()
    """Pauses before restarts."""
    steady_s: float = 60.0
    """Seconds of sound after which the backoff starts from its first pause again."""
    queue_s: float = 30.0
    """Seconds of sound that may wait to be classified; beyond it the oldest are dropped and counted."""
    restart: bool = True
    """Whether a child that ends is started again; if not, its end is the end of the source, and a full queue makes the
    child wait instead of dropping sound."""
    channel: Channel = "auto"
    """Channel that is taken of several."""
    retry_start: bool = False
    """Whether a child that fails before its first sound is started again; if not, that is a SourceError."""

    @property
    def first_sound_limit_s(self) -> float:
        """Seconds that a child may take to its first sound."""
        return FIRST_SOUND_STALLS * self.stall_s if self.first_sound_s is None else self.first_sound_s

    @property
    def lacking_limit_s(self) -> float:
        """Seconds by which sound may fall short of real time before the child counts as too slow."""
        return max(LACKING_S, 2 * self.stall_s)

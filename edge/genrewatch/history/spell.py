"""A spell: a stretch of time in which one source had one verdict. The history is a list of them.

    segments   rock rock rock rock refused refused jazz ...
    spells     |---- rock 7.4 s ---|- refused 3.7 s -|- jazz ...

Sound is counted in whole milliseconds of the stream, each in one spell alone, so that spells add up to what was heard.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from genrewatch.contract.payload import SCHEMA_VERSION, rounded
from genrewatch.host.times import Timestamp, ms_to_rfc3339
from genrewatch.inference.pipeline import SegmentResult

STEP_S = 0.5
"""A wall clock that moves by more than this against the monotonic one, from one look to the next, has been set."""
HOUR_MS = 3_600_000


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What must stay the same for a spell to go on."""

    genre: str | None
    reason: str
    """As in a state, but `held` counts as `majority`."""
    dead_air: bool = False

    @classmethod
    def of(cls, result: SegmentResult) -> "Subject":
        """The subject of a segment's verdict."""
        reason = "majority" if result.verdict.genre is not None else result.verdict.reason
        return cls(genre=result.verdict.genre, reason=reason, dead_air=result.dead_air)


STALLED = Subject(genre=None, reason="stalled")
WARMING_UP = Subject(genre=None, reason="warming_up")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where a spell happens: constant for a stream."""

    node: str
    source: str
    name: str
    """The source's name for people."""
    model: str
    version: str
    run: str
    """Made anew by each start of the daemon: within one run, monotonic times can be compared."""


@dataclass(kw_only=True)
class Spell:
    """One spell, while it lasts and when it has ended."""

    setting: Setting
    subject: Subject
    start: Timestamp
    end: Timestamp
    start_ms: int
    """Where in the stream it begins, milliseconds."""
    hour: int = 0
    """Of the wall clock, when it was opened, hours since 1970: it is cut in the next."""
    continues: bool = False
    """Whether it goes on where the one before it was cut, at a full hour."""
    heard_ms: int = 0
    """Sound in it."""
    lost_ms: int = 0
    """Sound missing from it."""
    votes: Counter[str] = field(default_factory=Counter)
    """Ballots cast during it, by label."""
    segments: int = 0
    confidences: float = 0.0
    confident: int = 0
    shares: float = 0.0
    clock_step_s: float = 0.0
    """How far the wall clock was set during it."""

    def touch(self, at: Timestamp) -> None:
        """It still lasts; notes when the wall clock was set meanwhile."""
        step_s = at.offset_s - self.end.offset_s
        if abs(step_s) > STEP_S:
            self.clock_step_s += step_s
        self.end = at

    def hear(self, heard_ms: int, lost_ms: int) -> None:
        """More of the stream belongs to it."""
        self.heard_ms += heard_ms
        self.lost_ms += lost_ms

    def count(self, result: SegmentResult) -> None:
        """A segment's ballot was cast and its verdict is this spell's."""
        self.votes[result.ballot.label] += 1
        self.segments += 1
        self.shares += result.verdict.share
        if result.verdict.confidence is not None:
            self.confidences += result.verdict.confidence
            self.confident += 1

    def body(self) -> dict[str, Any]:
        """The record, but for `seq` and hashes, which the store gives it."""
        s, subject = self.setting, self.subject
        return {
            "v": SCHEMA_VERSION,
            "node": s.node,
            "source": s.source,
            "name": s.name,
            "genre": subject.genre,
            "reason": subject.reason,
            "dead_air": subject.dead_air,
            "confidence": rounded(self.confidences / self.confident) if self.confident else None,
            "share": rounded(self.shares / self.segments) if self.segments else None,
            "votes": dict(self.votes.most_common()),
            "segments": self.segments,
            "start": ms_to_rfc3339(self.start.utc_ms),
            "end": ms_to_rfc3339(self.end.utc_ms),
            "start_s": self.start_ms / 1000,
            "end_s": (self.start_ms + self.heard_ms + self.lost_ms) / 1000,
            "heard_s": self.heard_ms / 1000,
            "lost_s": self.lost_ms / 1000,
            "continues": self.continues,
            "interrupted": False,
            "run": s.run,
            "mono_start_s": round(self.start.mono_s, 3),
            "mono_end_s": round(self.end.mono_s, 3),
            "clock_step_s": round(self.clock_step_s, 3),
            "model": s.model,
            "version": s.version,
        }

"""A spell: a stretch of time in which one source had one verdict. The history is a list of spells.

    segments   rock rock rock rock refused refused jazz ...
    spells     |---- rock 7.4 s ---|- refused 3.7 s -|- jazz ...

Sound is counted in whole milliseconds of the stream. Each millisecond is in exactly one spell, so the spells add up
to the sound received.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from genrewatch.contract.payload import SCHEMA_VERSION, rounded
from genrewatch.history.feature_means import FeatureMeans
from genrewatch.host.times import Timestamp, ms_to_rfc3339
from genrewatch.inference.pipeline import SegmentResult

CLOCK_STEP_S = 0.5
"""The wall clock was set if it moved by more than this against the monotonic clock."""
HOUR_MS = 3_600_000


@dataclass(frozen=True, kw_only=True)
class SpellKey:
    """The part of a verdict that is constant within a spell."""

    genre: str | None
    reason: str
    """The reason of the state; `held` counts as `majority`."""
    dead_air: bool = False

    @classmethod
    def of(cls, result: SegmentResult) -> "SpellKey":
        """Return the key of a segment's verdict."""
        reason = "majority" if result.verdict.genre is not None else result.verdict.reason
        return cls(genre=result.verdict.genre, reason=reason, dead_air=result.dead_air)


STALLED = SpellKey(genre=None, reason="stalled")
WARMING_UP = SpellKey(genre=None, reason="warming_up")


@dataclass(frozen=True, kw_only=True)
class SpellContext:
    """Node, source and model of a spell; constant within a stream."""

    node: str
    source: str
    name: str
    """Display name of the source."""
    model: str
    version: str
    run: str
    """Id of this run of the daemon; monotonic times compare within one run only."""
    features: int = 0
    """Most feature vectors that are kept of the spell."""
    body: str | None = None
    """Hash of the network that gives the features."""


@dataclass(kw_only=True)
class Spell:
    """One spell, open or ended."""

    context: SpellContext
    key: SpellKey
    start: Timestamp
    end: Timestamp
    start_ms: int
    """Position of its start in the stream, milliseconds."""
    hour: int = 0
    """Hour of the wall clock in which it was opened, hours since 1970; it is cut when the next hour starts."""
    continues: bool = False
    """True if it continues a spell that was cut at a full hour."""
    received_ms: int = 0
    """Sound received, milliseconds."""
    lost_ms: int = 0
    """Sound missing, milliseconds."""
    votes: Counter[str] = field(default_factory=Counter)
    """Ballots by label."""
    segments: int = 0
    confidence_sum: float = 0.0
    confidence_count: int = 0
    """Number of segments with a confidence."""
    share_sum: float = 0.0
    features: FeatureMeans | None = None
    """Features of stretches of it; None where none are kept."""
    clock_step_s: float = 0.0
    """Sum of the steps of the wall clock, seconds."""

    def extend_to(self, at: Timestamp) -> None:
        """Move the end to `at` and count a step of the wall clock."""
        step_s = at.offset_s - self.end.offset_s
        if abs(step_s) > CLOCK_STEP_S:
            self.clock_step_s += step_s
        self.end = at

    def add_sound(self, received_ms: int, lost_ms: int) -> None:
        """Add received and missing sound."""
        self.received_ms += received_ms
        self.lost_ms += lost_ms

    def add_segment(self, result: SegmentResult) -> None:
        """Count a segment's ballot, share and confidence."""
        self.votes[result.ballot.label] += 1
        self.segments += 1
        self.share_sum += result.verdict.share
        if result.features is not None and self.context.features:
            self.features = self.features or FeatureMeans(self.context.features)
            self.features.add(result.features)
        if result.verdict.confidence is not None:
            self.confidence_sum += result.verdict.confidence
            self.confidence_count += 1

    def fields(self) -> dict[str, Any]:
        """Return the fields of the record, without `seq` and hashes, which the store adds."""
        context, key = self.context, self.key
        return {
            "v": SCHEMA_VERSION,
            "node": context.node,
            "source": context.source,
            "name": context.name,
            "genre": key.genre,
            "reason": key.reason,
            "dead_air": key.dead_air,
            "confidence": rounded(self.confidence_sum / self.confidence_count) if self.confidence_count else None,
            "share": rounded(self.share_sum / self.segments) if self.segments else None,
            "votes": dict(self.votes.most_common()),
            "segments": self.segments,
            "start": ms_to_rfc3339(self.start.utc_ms),
            "end": ms_to_rfc3339(self.end.utc_ms),
            "start_s": self.start_ms / 1000,
            "end_s": (self.start_ms + self.received_ms + self.lost_ms) / 1000,
            "heard_s": self.received_ms / 1000,
            "lost_s": self.lost_ms / 1000,
            "continues": self.continues,
            "interrupted": False,
            "run": context.run,
            "mono_start_s": round(self.start.mono_s, 3),
            "mono_end_s": round(self.end.mono_s, 3),
            "clock_step_s": round(self.clock_step_s, 3),
            "model": context.model,
            "version": context.version,
        }

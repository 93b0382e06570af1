"""Events in a stream of verdicts: the genre changed, silence became dead air, sound stopped arriving.

MQTT's `event` topic and the hooks use the same detector, so they report the same events. Each event is reported once;
the state shows subscribers that come later what holds.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from genrewatch.contract.compact_json import compact_json
from genrewatch.contract.payload import SCHEMA_VERSION, rounded
from genrewatch.contract.vote import SILENCE
from genrewatch.inference.pipeline import SegmentResult
from genrewatch.sinks.expectations import Expectation, ExpectationDetector
from genrewatch.sources.source import NowPlaying

EventType = Literal[
    "genre_changed",
    "dead_air",
    "sound_returned",
    "stalled",
    "resumed",
    "unexpected_genre",
    "expected_genre",
    "test",
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to one source."""

    type: EventType
    source: str
    """Its id."""
    genre: str | None
    """The genre announced now; None where there is none."""
    previous_genre: str | None
    """The genre announced last before, whatever lay between; None before the first."""
    reason: str
    """The verdict's, or `stalled`."""
    confidence: float | None
    """Of `genre`, 0 to 1."""
    level_dbfs: float | None
    """Of the newest hop; None for digital silence and where no sound arrives."""
    station: str | None
    """Name that the station last sent."""
    title: str | None
    """Title that the station last sent."""


@dataclass(kw_only=True)
class _LastEvents:
    """The facts known of one source from its last events."""

    genre: str | None = None
    dead_air: bool = False
    stalled: bool = False
    undecided: bool = False
    """True from the start of a stream until its first sound or dead air."""
    playing: NowPlaying = NowPlaying()

    def dead_air_after(self, result: SegmentResult) -> bool:
        """Return whether it is dead air now; silence at the start of a stream leaves it as it was before."""
        if result.dead_air or result.ballot.label != SILENCE:
            self.undecided = False
        return self.dead_air if self.undecided else result.dead_air


class EventDetector:
    """Turns results into events; any thread may call any method, and nothing is reported twice.

    An outage is not silence, and neither ends the other: dead air before and after an outage is the same dead air, and
    only sound ends it. A genre that returns after a refusal, silence or an outage has not changed.
    """

    def __init__(
        self,
        expectations: Mapping[str, Expectation] | None = None,
        local_time: Callable[[], datetime] = datetime.now,
    ) -> None:
        """Know no source yet; `expectations` are those of each source that has any."""
        self._last: dict[str, _LastEvents] = {}
        self._expectations = ExpectationDetector(expectations or {}, local_time)
        self._lock = threading.Lock()

    def stream(self, source_id: str) -> None:
        """Note that a stream begins: its silence is counted from zero and must not end a dead air."""
        with self._lock:
            self._of(source_id).undecided = True

    def result(self, source_id: str, result: SegmentResult) -> list[Event]:
        """Return the events of a segment, in the order `resumed`, dead air or its end, `genre_changed`, then whether
        the genre is expected."""
        with self._lock:
            last, genre = self._of(source_id), result.verdict.genre
            types: list[EventType] = ["resumed"] if last.stalled else []
            last.stalled = False
            dead_air = last.dead_air_after(result)
            if dead_air != last.dead_air:
                last.dead_air = dead_air
                types.append("dead_air" if dead_air else "sound_returned")
            before = last.genre
            if genre is not None and genre != before:
                last.genre = genre
                types.append("genre_changed")
            types += self._expectations.events(source_id, result)
            return [
                Event(
                    type=type_,
                    source=source_id,
                    genre=genre,
                    previous_genre=before,
                    reason=result.verdict.reason,
                    confidence=result.verdict.confidence,
                    level_dbfs=result.level.dbfs,
                    station=last.playing.station,
                    title=last.playing.title,
                )
                for type_ in types
            ]

    def stalled(self, source_id: str) -> list[Event]:
        """Return the event of a source without sound: one an outage, however often this is called.

        The event has the station and title of before; later events have them only once the station sends them again.
        """
        with self._lock:
            last = self._of(source_id)
            if last.stalled:
                return []
            last.stalled, playing, last.playing = True, last.playing, NowPlaying()
            return [
                Event(
                    type="stalled",
                    source=source_id,
                    genre=None,
                    previous_genre=last.genre,
                    reason="stalled",
                    confidence=None,
                    level_dbfs=None,
                    station=playing.station,
                    title=playing.title,
                )
            ]

    def playing(self, source_id: str, playing: NowPlaying) -> None:
        """Set the station and title of later events."""
        with self._lock:
            self._of(source_id).playing = playing

    def set_sources(self, expectations: Mapping[str, Expectation | None]) -> None:
        """Know these sources from now on, each with its expectation; forget the others."""
        with self._lock:
            self._expectations.set_expectations({name: wanted for name, wanted in expectations.items() if wanted})
            for source_id in [known for known in self._last if known not in expectations]:
                del self._last[source_id]

    def reset(self, source_id: str) -> None:
        """Forget a source that was switched off, which is no event."""
        with self._lock:
            self._last.pop(source_id, None)
            self._expectations.reset(source_id)

    def _of(self, source_id: str) -> _LastEvents:
        return self._last.setdefault(source_id, _LastEvents())


def sample_event(source_id: str) -> Event:
    """Return an event `test`, by which a user checks that broker and hooks receive events."""
    nothing = dict.fromkeys(("genre", "previous_genre", "confidence", "level_dbfs", "station", "title"))
    return Event(type="test", source=source_id, reason="warming_up", **nothing)


def event_payload(event: Event, *, node: str, name: str, ts: str, model: str | None, version: str | None) -> bytes:
    """Return the JSON of an event: `name` is the source's display name, `ts` RFC 3339, `model` and `version` the
    bundle's."""
    fields: dict[str, Any] = {
        "v": SCHEMA_VERSION,
        "node": node,
        "source": event.source,
        "name": name,
        "ts": ts,
        "event_type": event.type,
        "genre": event.genre,
        "previous_genre": event.previous_genre,
        "reason": event.reason,
        "confidence": rounded(event.confidence),
        "level_dbfs": rounded(event.level_dbfs, 1),
        "station": event.station,
        "title": event.title,
        "model": model,
        "version": version,
    }
    return compact_json(fields).encode()

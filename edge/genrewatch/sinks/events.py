"""What of a stream of verdicts is worth an event: the genre changed, silence became dead air, sound ceased to arrive.

MQTT's `event` topic and the hooks say the same things at the same moments, so both ask here. An event is told once and
never again; whoever wants to know how things are reads the state.
"""

import threading
from dataclasses import dataclass
from typing import Any, Literal, get_args

from genrewatch.contract.compact_json import compact_json
from genrewatch.contract.payload import SCHEMA_VERSION, rounded
from genrewatch.contract.vote import SILENCE
from genrewatch.inference.pipeline import SegmentResult
from genrewatch.sources.source import NowPlaying

EventType = Literal["genre_changed", "dead_air", "sound_returned", "stalled", "resumed"]
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
    """What a station said last of itself."""
    title: str | None
    """What it said that it plays."""


@dataclass(kw_only=True)
class _Known:
    """What the last event of each kind has left of one source."""

    genre: str | None = None
    dead_air: bool = False
    stalled: bool = False
    unsure: bool = False
    """A stream has begun and neither sound nor dead air has been heard in it."""
    playing: NowPlaying = NowPlaying()

    def dead_air_after(self, result: SegmentResult) -> bool:
        """Whether it is dead air now; the silence at the start of a stream goes on as it was before."""
        if result.dead_air or result.ballot.label != SILENCE:
            self.unsure = False
        return self.dead_air if self.unsure else result.dead_air


class Changes:
    """Turns results into events; any thread may call any method, and nothing is said twice.

    An outage is not silence, and neither ends the other: dead air that is still there when sound data arrive again is
    the old one, and only sound ends it. A genre that comes back after a refusal, silence or an outage has not changed.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def stream(self, source_id: str) -> None:
        """A stream begins: what counts silence begins anew, so that its first silence does not end dead air."""
        with self._lock:
            self._of(source_id).unsure = True

    def result(self, source_id: str, result: SegmentResult) -> list[Event]:
        """What a segment changed, in the order `resumed`, dead air or its end, `genre_changed`."""
        with self._lock:
            known, genre = self._of(source_id), result.verdict.genre
            types: list[EventType] = ["resumed"] if known.stalled else []
            known.stalled = False
            dead_air = known.dead_air_after(result)
            if dead_air != known.dead_air:
                known.dead_air = dead_air
                types.append("dead_air" if dead_air else "sound_returned")
            before = known.genre
            if genre is not None and genre != before:
                known.genre = genre
                types.append("genre_changed")
            return [
                Event(
                    type=type_,
                    source=source_id,
                    genre=genre,
                    previous_genre=before,
                    reason=result.verdict.reason,
                    confidence=result.verdict.confidence,
                    level_dbfs=result.level.dbfs,
                    station=known.playing.station,
                    title=known.playing.title,
                )
                for type_ in types
            ]

    def stalled(self, source_id: str) -> list[Event]:
        """A source that should give sound gives none: one event an outage, however often it is called.

        The event says what the station was playing; what it plays afterwards it must say itself.
        """
        with self._lock:
            known = self._of(source_id)
            if known.stalled:
                return []
            known.stalled, playing, known.playing = True, known.playing, NowPlaying()
            return [
                Event(
                    type="stalled",
                    source=source_id,
                    genre=None,
                    previous_genre=known.genre,
                    reason="stalled",
                    confidence=None,
                    level_dbfs=None,
                    station=playing.station,
                    title=playing.title,
                )
            ]

    def playing(self, source_id: str, playing: NowPlaying) -> None:
        """A station has said what it is or what it plays: later events carry it."""
        with self._lock:
            self._of(source_id).playing = playing

    def off(self, source_id: str) -> None:
        """A source has been switched off, which is no event; when it is on again, everything is new."""
        with self._lock:
            self._known.pop(source_id, None)

    def _of(self, source_id: str) -> _Known:
        return self._known.setdefault(source_id, _Known())


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

"""Building of spells from the results of several sources; pure, the caller gives the time.

Each millisecond that a source has delivered, or that is missing, goes into exactly one spell. A segment adds what
has arrived since the previous one to the spell of its own verdict. What arrived after the last segment goes to the
spell that was open then. What an outage cost goes to the `stalled` spell.
"""

from dataclasses import dataclass

from genrewatch.history.spell import HOUR_MS, STALLED, WARMING_UP, Spell, SpellContext, SpellKey
from genrewatch.host.times import Timestamp
from genrewatch.inference.pipeline import SegmentResult


@dataclass(kw_only=True)
class _Stream:
    """The sound of one stream that is accounted for, and its open spell."""

    context: SpellContext
    last_end: Timestamp
    """End of the newest spell that has ended; at first the start of the stream."""
    received_ms: int = 0
    lost_ms: int = 0
    open: Spell | None = None
    resumed_at: Timestamp | None = None
    """Time at which sound came back after the outage that is the open spell."""
    stalled_ms: int = 0
    """The part of this outage that is in spells that have ended, milliseconds."""

    def advance(self, received_ms: int, lost_ms: int) -> tuple[int, int]:
        """Move to new totals and return the received and the missing sound since the last call, milliseconds."""
        new = max(0, received_ms - self.received_ms), max(0, lost_ms - self.lost_ms)
        self.received_ms += new[0]
        self.lost_ms += new[1]
        return new


class SpellBuilder:
    """The spells of one node, by source. Calls for a source without a stream are ignored."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self.ended: list[Spell] = []
        """Spells that have ended, in order; the caller empties the list."""

    def start_stream(self, context: SpellContext, at: Timestamp) -> None:
        """Start a source's stream at position 0; an earlier stream of the source ends."""
        self.end_stream(context.source, at)
        self._streams[context.source] = _Stream(context=context, last_end=at)

    def add_result(self, source: str, result: SegmentResult, at: Timestamp) -> None:
        """Add a segment to the spell of its verdict."""
        stream = self._streams.get(source)
        if stream is None:
            return
        lost_ms = round(1000 * result.lost / result.sample_rate)
        received_ms, lost_ms = stream.advance(round(1000 * result.end / result.sample_rate) - lost_ms, lost_ms)
        lost_ms = _end_outage(stream, lost_ms, at, self.ended)
        spell = _open_spell(stream, SpellKey.of(result), at, self.ended, new_ms=received_ms + lost_ms)
        spell.add_sound(received_ms, lost_ms)
        spell.add_segment(result)

    def add_duration(self, source: str, heard_s: float, lost_s: float, at: Timestamp) -> None:
        """Account for all sound received and missing so far, also for what has filled no segment."""
        stream = self._streams.get(source)
        if stream is None:
            return
        received_ms, lost_ms = stream.advance(round(1000 * heard_s), round(1000 * lost_s))
        if received_ms or lost_ms:
            lost_ms = _end_outage(stream, lost_ms, at, self.ended)
            key = stream.open.key if stream.open else WARMING_UP
            _open_spell(stream, key, at, self.ended, new_ms=received_ms + lost_ms).add_sound(received_ms, lost_ms)

    def mark_stalled(self, source: str, at: Timestamp) -> None:
        """Open or extend the `stalled` spell; may be called repeatedly."""
        if stream := self._streams.get(source):
            stream.resumed_at = None
            spell = _open_spell(stream, STALLED, at, self.ended)
            spell.lost_ms = _duration_ms(spell)

    def mark_resumed(self, source: str, at: Timestamp) -> None:
        """Note when sound arrives again."""
        if stream := self._streams.get(source):
            stream.resumed_at = at

    def end_stream(self, source: str, at: Timestamp) -> None:
        """End a source's stream and its open spell."""
        stream = self._streams.pop(source, None)
        if stream and stream.open:
            _end_outage(stream, 0, at, self.ended)
        if stream and stream.open:
            _end_spell(stream, self.ended)

    def end_all(self, at: Timestamp) -> None:
        """End all streams."""
        for source in list(self._streams):
            self.end_stream(source, at)

    def open_spells(self) -> list[Spell]:
        """Return the spells that are open."""
        return [stream.open for stream in self._streams.values() if stream.open]


def _open_spell(stream: _Stream, key: SpellKey, at: Timestamp, ended: list[Spell], *, new_ms: int = 0) -> Spell:
    """Return the open spell if it has this key and was opened in this hour, else end it and open a new one.

    `new_ms` is the sound before the stream's position that the caller will add to the spell.
    """
    spell, continues = stream.open, False
    if spell is not None and spell.key == key:
        if at.utc_ms // HOUR_MS == spell.hour:
            spell.extend_to(at)
            return spell
        continues = True
    if spell is not None:
        _end_spell(stream, ended)
    stream.open = Spell(
        context=stream.context,
        key=key,
        start=stream.last_end,
        end=stream.last_end,
        start_ms=stream.received_ms + stream.lost_ms - new_ms,
        hour=at.utc_ms // HOUR_MS,
        continues=continues,
    )
    stream.open.extend_to(at)
    return stream.open


def _end_spell(stream: _Stream, ended: list[Spell]) -> None:
    assert stream.open
    if stream.open.key == STALLED:
        stream.stalled_ms += stream.open.lost_ms
    ended.append(stream.open)
    stream.last_end, stream.open = stream.open.end, None


def _end_outage(stream: _Stream, lost_ms: int, at: Timestamp, ended: list[Spell]) -> int:
    """End an open outage, with the loss that the source reports; return the loss that belongs to the next spell.

    A source counts no loss before its first sound and after its last: then the outage lasted by the clock.
    """
    spell = stream.open
    if spell is None or spell.key != STALLED:
        return lost_ms
    spell.extend_to(stream.resumed_at or at)
    spell.lost_ms = max(0, lost_ms - stream.stalled_ms) if lost_ms else _duration_ms(spell)
    _end_spell(stream, ended)
    stream.stalled_ms, stream.resumed_at = 0, None
    return 0


def _duration_ms(spell: Spell) -> int:
    return round(1000 * (spell.end.mono_s - spell.start.mono_s))

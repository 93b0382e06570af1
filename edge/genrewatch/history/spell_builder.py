"""Turns what the pipeline says of several sources into spells, pure and without a clock of its own.

Each millisecond that a source has delivered, or that is missing, goes into exactly one spell: a segment adds what has
arrived since the one before it to the spell of its own verdict; what arrived after the last segment goes to the spell
that was open then; what an outage cost goes to the `stalled` spell.
"""

from dataclasses import dataclass

from genrewatch.history.spell import HOUR_MS, STALLED, WARMING_UP, Setting, Spell, Subject
from genrewatch.host.times import Timestamp
from genrewatch.inference.pipeline import SegmentResult


@dataclass(kw_only=True)
class _Stream:
    """How far one source has been accounted for."""

    setting: Setting
    last: Timestamp
    """When the newest spell that has ended did so; at first, when the stream began."""
    heard_ms: int = 0
    lost_ms: int = 0
    open: Spell | None = None
    back: Timestamp | None = None
    """When sound came back after the outage that is the open spell."""
    stalled_ms: int = 0
    """What of this outage has gone into spells that have ended."""

    def advance(self, heard_ms: int, lost_ms: int) -> tuple[int, int]:
        """(sound, loss) that are new since this was last asked, milliseconds."""
        new = max(0, heard_ms - self.heard_ms), max(0, lost_ms - self.lost_ms)
        self.heard_ms += new[0]
        self.lost_ms += new[1]
        return new


class SpellBuilder:
    """The spells of one node, by source; what has ended is left in `ended`, in order.

    What is said of a source that has no stream (it is about to begin, or has just ended) is of no account.
    """

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self.ended: list[Spell] = []
        """Whoever takes them empties the list."""

    def begin(self, setting: Setting, at: Timestamp) -> None:
        """A source's stream begins, at position 0; one that was going on ends."""
        self.finish(setting.source, at)
        self._streams[setting.source] = _Stream(setting=setting, last=at)

    def result(self, source: str, result: SegmentResult, at: Timestamp) -> None:
        """A segment has been judged."""
        stream = self._streams.get(source)
        if stream is None:
            return
        lost_ms = round(1000 * result.lost / result.sample_rate)
        heard_ms, lost_ms = stream.advance(round(1000 * result.end / result.sample_rate) - lost_ms, lost_ms)
        lost_ms = _end_outage(stream, lost_ms, at, self.ended)
        spell = _open(stream, Subject.of(result), at, self.ended, new_ms=heard_ms + lost_ms)
        spell.hear(heard_ms, lost_ms)
        spell.count(result)

    def heard(self, source: str, heard_s: float, lost_s: float, at: Timestamp) -> None:
        """So much has arrived and is missing by now: what has filled no segment is accounted for too."""
        stream = self._streams.get(source)
        if stream is None:
            return
        heard_ms, lost_ms = stream.advance(round(1000 * heard_s), round(1000 * lost_s))
        if heard_ms or lost_ms:
            lost_ms = _end_outage(stream, lost_ms, at, self.ended)
            subject = stream.open.subject if stream.open else WARMING_UP
            _open(stream, subject, at, self.ended, new_ms=heard_ms + lost_ms).hear(heard_ms, lost_ms)

    def stalled(self, source: str, at: Timestamp) -> None:
        """No sound arrives; say it as often as you like."""
        if stream := self._streams.get(source):
            stream.back = None
            spell = _open(stream, STALLED, at, self.ended)
            spell.lost_ms = _lasted_ms(spell)

    def resumed(self, source: str, at: Timestamp) -> None:
        """Sound arrives again."""
        if stream := self._streams.get(source):
            stream.back = at

    def finish(self, source: str, at: Timestamp) -> None:
        """A source's stream has ended."""
        stream = self._streams.pop(source, None)
        if stream and stream.open:
            _end_outage(stream, 0, at, self.ended)
        if stream and stream.open:
            _end(stream, self.ended)

    def finish_all(self, at: Timestamp) -> None:
        """The node stops."""
        for source in list(self._streams):
            self.finish(source, at)

    def drafts(self) -> list[Spell]:
        """The spells that are open."""
        return [stream.open for stream in self._streams.values() if stream.open]


def _open(stream: _Stream, subject: Subject, at: Timestamp, ended: list[Spell], *, new_ms: int = 0) -> Spell:
    """The open spell if it has this subject and was opened in this hour, else a new one.

    `new_ms` of the stream, which the caller will add to it, lie before the stream's position.
    """
    spell, continues = stream.open, False
    if spell is not None and spell.subject == subject:
        if at.utc_ms // HOUR_MS == spell.hour:
            spell.touch(at)
            return spell
        continues = True
    if spell is not None:
        _end(stream, ended)
    stream.open = Spell(
        setting=stream.setting,
        subject=subject,
        start=stream.last,
        end=stream.last,
        start_ms=stream.heard_ms + stream.lost_ms - new_ms,
        hour=at.utc_ms // HOUR_MS,
        continues=continues,
    )
    stream.open.touch(at)
    return stream.open


def _end(stream: _Stream, ended: list[Spell]) -> None:
    assert stream.open
    if stream.open.subject == STALLED:
        stream.stalled_ms += stream.open.lost_ms
    ended.append(stream.open)
    stream.last, stream.open = stream.open.end, None


def _end_outage(stream: _Stream, lost_ms: int, at: Timestamp, ended: list[Spell]) -> int:
    """If an outage is open, it ends with what the source says that it cost; returns the loss that is still to place.

    A source counts nothing before its first sound, nor after its last: then it lasted by the clock.
    """
    spell = stream.open
    if spell is None or spell.subject != STALLED:
        return lost_ms
    spell.touch(stream.back or at)
    spell.lost_ms = max(0, lost_ms - stream.stalled_ms) if lost_ms else _lasted_ms(spell)
    _end(stream, ended)
    stream.stalled_ms, stream.back = 0, None
    return 0


def _lasted_ms(spell: Spell) -> int:
    return round(1000 * (spell.end.mono_s - spell.start.mono_s))

"""Spells to store, and a transport whose broker a test plays."""

import json

from genrewatch.history.spell import Spell, SpellContext, SpellKey
from genrewatch.host.times import Timestamp, rfc3339_to_ms

NOON = rfc3339_to_ms("2026-11-24T12:00:00.000Z")


def spell(genre="rock", *, source="mic", start_s=0.0, seconds=10.0):
    """A spell of `seconds`, all of it sound."""
    start, end = (Timestamp(utc_ms=NOON + round(1000 * s), mono_s=s) for s in (start_s, start_s + seconds))
    return Spell(
        context=SpellContext(node="box", source=source, name=source.title(), model="net", version="1", run="r"),
        key=SpellKey(genre=genre, reason="majority" if genre else "refused"),
        start=start,
        end=end,
        start_ms=round(1000 * start_s),
        received_ms=round(1000 * seconds),
    )


class FakeTransport:
    """A transport that records what is published; a test sets the connection and the acknowledgements."""

    def __init__(self):
        self.connection_number, self.published, self.full, self._acknowledgements = 1, [], False, []
        self.largest = 10**6

    def takes(self, source, payload, kind="history"):
        return len(payload) <= self.largest

    def publish(self, source, payload, kind="history"):
        if self.full:
            return None
        self.published.append((source, json.loads(payload)))
        return self.connection_number << 16 | len(self.published)

    def acknowledgements(self):
        arrived, self._acknowledgements = self._acknowledgements, []
        return arrived

    def acknowledge(self, first, last=None, *, accepted=True):
        """Acknowledge the n-th (to m-th) published record, counted from 1."""
        packet_ids = (self.connection_number << 16 | n for n in range(first, (last or first) + 1))
        self._acknowledgements += [(packet_id, accepted) for packet_id in packet_ids]

    @property
    def seqs(self):
        return [record["seq"] for _, record in self.published]

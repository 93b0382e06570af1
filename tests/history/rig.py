"""Spells to keep, and a transport whose broker a test plays."""

import json

from genrewatch.history.spell import Setting, Spell, Subject
from genrewatch.host.times import Timestamp, rfc3339_to_ms

NOON = rfc3339_to_ms("2026-11-24T12:00:00.000Z")


def spell(genre="rock", *, source="mic", start_s=0.0, seconds=10.0):
    """A spell of so many seconds, all heard."""
    moments = [Timestamp(utc_ms=NOON + round(1000 * s), mono_s=s) for s in (start_s, start_s + seconds)]
    return Spell(
        setting=Setting(node="box", source=source, name=source.title(), model="net", version="1", run="r"),
        subject=Subject(genre=genre, reason="majority" if genre else "refused"),
        start=moments[0],
        end=moments[1],
        start_ms=round(1000 * start_s),
        heard_ms=round(1000 * seconds),
    )


class FakeTransport:
    """Takes what it is given; a test says which link there is and which receipts come."""

    def __init__(self):
        self.connection_number, self.posted, self.full, self._receipts = 1, [], False, []

    def publish(self, source, payload):
        if self.full:
            return None
        self.posted.append((source, json.loads(payload)))
        return self.connection_number << 16 | len(self.posted)

    def acknowledgements(self):
        come, self._receipts = self._receipts, []
        return come

    def acknowledge(self, first, last=None, *, accepted=True):
        """Receipts for the n-th (to m-th) record that was posted, counted from 1."""
        self._receipts += [(self.connection_number << 16 | n, accepted) for n in range(first, (last or first) + 1)]

    @property
    def seqs(self):
        return [record["seq"] for _, record in self.posted]

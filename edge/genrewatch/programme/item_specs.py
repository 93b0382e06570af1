"""The items of the programme: how long, how loud and in which room each is played."""

from dataclasses import dataclass

from genrewatch.programme import bars
from genrewatch.programme.synthesis import n_samples

RING_S = 1.5  # a note may ring this long into the next bar


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One item."""

    bar: bars.BarFunction
    """What is played."""
    n_bars: int
    """How many bars."""
    bar_s: float
    """How long a bar is, s."""
    gain: float
    """Brings the item to about -20 dBFS."""
    room_s: float = 0.3
    """How long the room rings."""
    wet: float = 0.05
    """Reverberation over direct sound, amplitude."""
    low: float = 30.0
    """Lower edge of what is let through, Hz."""
    high: float = 9000.0
    """Upper edge of what is let through, Hz."""

    @property
    def bar_samples(self) -> int:
        """Samples of one bar."""
        return n_samples(self.bar_s)

    @property
    def samples(self) -> int:
        """Samples of the whole item."""
        return self.n_bars * self.bar_samples


PIECES: dict[str, Piece] = {
    "chorale": Piece(bar=bars.chorale, n_bars=9, bar_s=3.6, gain=0.0188, room_s=1.8, wet=0.8),
    "four on the floor": Piece(bar=bars.four_on_the_floor, n_bars=16, bar_s=2.0, gain=0.078, room_s=0.5, wet=0.2),
    "talk": Piece(bar=bars.talk, n_bars=10, bar_s=2.8, gain=0.7),
    "swing": Piece(bar=bars.swing, n_bars=19, bar_s=1.68, gain=0.083, room_s=0.8, wet=0.3),
    "power chords": Piece(bar=bars.power_chords, n_bars=19, bar_s=1.76, gain=0.044, room_s=0.5, wet=0.2),
    "silence": Piece(bar=bars.silence, n_bars=12, bar_s=2.0, gain=0.0),
    "beat and voice": Piece(bar=bars.beat_and_voice, n_bars=12, bar_s=8 / 3, gain=0.09, room_s=0.3, wet=0.1),
    "skank": Piece(bar=bars.skank, n_bars=11, bar_s=3.16, gain=0.062, room_s=0.7, wet=0.25),
}
"""In the order in which they are played."""

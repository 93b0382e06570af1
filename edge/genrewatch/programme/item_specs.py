"""Specification of the programme's items: length, level and room of each."""

from dataclasses import dataclass

from genrewatch.programme import bars
from genrewatch.programme.synthesis import n_samples

MAX_RING_S = 1.5
"""Longest time that a note may ring into the next bar, seconds."""


@dataclass(frozen=True, kw_only=True)
class ItemSpec:
    """The specification of one item."""

    bar: bars.BarFunction
    """The music of a bar."""
    n_bars: int
    bar_s: float
    """Length of a bar, seconds."""
    gain: float
    """Gain to about -20 dBFS."""
    room_s: float = 0.3
    """Reverberation time of the room, seconds."""
    wet: float = 0.05
    """Reverberation relative to direct sound, amplitude."""
    low: float = 30.0
    """Lower edge of the band-pass filter, Hz."""
    high: float = 9000.0
    """Upper edge of the band-pass filter, Hz."""

    @property
    def bar_samples(self) -> int:
        """The number of samples of one bar."""
        return n_samples(self.bar_s)

    @property
    def samples(self) -> int:
        """The number of samples of the item."""
        return self.n_bars * self.bar_samples


ITEM_SPECS: dict[str, ItemSpec] = {
    "chorale": ItemSpec(bar=bars.chorale, n_bars=9, bar_s=3.6, gain=0.0188, room_s=1.8, wet=0.8),
    "four on the floor": ItemSpec(bar=bars.four_on_the_floor, n_bars=16, bar_s=2.0, gain=0.078, room_s=0.5, wet=0.2),
    "talk": ItemSpec(bar=bars.talk, n_bars=10, bar_s=2.8, gain=0.7),
    "swing": ItemSpec(bar=bars.swing, n_bars=19, bar_s=1.68, gain=0.083, room_s=0.8, wet=0.3),
    "power chords": ItemSpec(bar=bars.power_chords, n_bars=19, bar_s=1.76, gain=0.044, room_s=0.5, wet=0.2),
    "silence": ItemSpec(bar=bars.silence, n_bars=12, bar_s=2.0, gain=0.0),
    "beat and voice": ItemSpec(bar=bars.beat_and_voice, n_bars=12, bar_s=8 / 3, gain=0.09, room_s=0.3, wet=0.1),
    "skank": ItemSpec(bar=bars.skank, n_bars=11, bar_s=3.16, gain=0.062, room_s=0.7, wet=0.25),
}
"""Specifications by name, in order of play."""

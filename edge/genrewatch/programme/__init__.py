"""A synthesised radio programme of about four minutes: different kinds of music, talk-like noise and silence.

It is input for `genrewatch listen` without a microphone, and for tests, free of copyright. The name of an item
describes its sound, not the genre that a model must find. The same seed gives the same samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from genrewatch.contract.front_end import Samples
from genrewatch.programme.item_specs import ITEM_SPECS, MAX_RING_S
from genrewatch.programme.synthesis import SAMPLE_RATE, Room, mix, n_samples

__all__ = ["PROGRAMME", "SAMPLE_RATE", "Item", "item", "programme_blocks"]

FADE_S = 0.25
Kind = Literal["music", "talk", "silence"]


@dataclass(frozen=True, kw_only=True)
class Item:
    """One item of the programme."""

    name: str
    seconds: float
    """Length, seconds."""
    kind: Kind
    """Music, talk-like noise or digital silence."""

    @property
    def samples(self) -> int:
        """Length, samples."""
        return ITEM_SPECS[self.name].samples


def _item(name: str) -> Item:
    kind: Kind = "talk" if name == "talk" else "silence" if name == "silence" else "music"
    spec = ITEM_SPECS[name]
    return Item(name=name, seconds=spec.samples / SAMPLE_RATE, kind=kind)


PROGRAMME: tuple[Item, ...] = tuple(_item(name) for name in ITEM_SPECS)
"""Items in order of play."""


def programme_blocks(*, seed: int = 0, block: int = 4096) -> Iterator[Samples]:
    """Yield the programme once, in (block,) mono float32 samples at `SAMPLE_RATE`; the last block may be shorter.

    Bars are synthesised when they are due: it takes little memory, and the work is spread over time.
    """
    rest = np.empty(0, np.float32)
    for entry in PROGRAMME:
        for bar in _bars(entry.name, seed):
            pending = np.concatenate([rest, bar])
            n_ready = len(pending) - len(pending) % block
            for start in range(0, n_ready, block):
                yield pending[start : start + block]
            rest = pending[n_ready:]
    if len(rest):
        yield rest


def item(name: str, seed: int = 0) -> Samples:
    """Return all samples of an item, as in the programme with this seed; KeyError for an unknown name."""
    return np.concatenate(list(_bars(name, seed)))


def _bars(name: str, seed: int) -> Iterator[Samples]:
    """Yield the bars of an item, each with the ringing of earlier bars, and a short fade at both ends of the item."""
    spec = ITEM_SPECS[name]
    rng = np.random.default_rng([seed, *name.encode()])
    room = Room(rng, seconds=spec.room_s, wet=spec.wet, low=spec.low, high=spec.high)
    n, fade = spec.bar_samples, n_samples(FADE_S)
    ringing = np.zeros(n_samples(MAX_RING_S) + room.n_tail, np.float32)
    for k in range(spec.n_bars):
        dry = mix(n + n_samples(MAX_RING_S), spec.bar(k, rng))
        sound = np.zeros(n + len(ringing), np.float32)
        sound[: len(ringing)] += ringing
        sound += np.float32(spec.gain) * room(dry)
        bar, ringing = sound[:n], sound[n:]
        if k == 0:
            bar[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        if k == spec.n_bars - 1:
            bar[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        yield np.clip(bar, -1, 1)

"""A demo radio programme, synthesised here: clearly different music, talk-like noise and silence, about four minutes.

It lets `genrewatch listen` do something real where there is no microphone, and tests hear sound that is nobody's
property. An item's name says what is played and never what a model must answer. The same seed gives the same samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from genrewatch.contract.front_end import Samples
from genrewatch.programme.item_specs import PIECES, RING_S
from genrewatch.programme.synthesis import SAMPLE_RATE, Room, mix, n_samples

__all__ = ["PROGRAMME", "SAMPLE_RATE", "Item", "item", "programme_blocks"]

FADE_S = 0.25
Kind = Literal["music", "talk", "silence"]


@dataclass(frozen=True, kw_only=True)
class Item:
    """One entry of the programme."""

    name: str
    """What is played."""
    seconds: float
    """How long."""
    kind: Kind
    """Music, talk-like noise or digital silence."""

    @property
    def samples(self) -> int:
        """Its length in samples."""
        return PIECES[self.name].samples


def _item(name: str) -> Item:
    kind: Kind = "talk" if name == "talk" else "silence" if name == "silence" else "music"
    piece = PIECES[name]
    return Item(name=name, seconds=piece.samples / SAMPLE_RATE, kind=kind)


PROGRAMME: tuple[Item, ...] = tuple(_item(name) for name in PIECES)
"""In the order in which it is played."""


def programme_blocks(*, seed: int = 0, block: int = 4096) -> Iterator[Samples]:
    """The whole programme once, (block,) mono float32 at `SAMPLE_RATE` at a time; the last block may be shorter.

    Bars are made when they are due, so it takes little memory and its work is spread over time.
    """
    rest = np.empty(0, np.float32)
    for entry in PROGRAMME:
        for bar in _bars(entry.name, seed):
            held = np.concatenate([rest, bar])
            whole = len(held) - len(held) % block
            for start in range(0, whole, block):
                yield held[start : start + block]
            rest = held[whole:]
    if len(rest):
        yield rest


def item(name: str, seed: int = 0) -> Samples:
    """All samples of one item, as they are in the programme of that seed; KeyError for a name that is not in it."""
    return np.concatenate(list(_bars(name, seed)))


def _bars(name: str, seed: int) -> Iterator[Samples]:
    """The bars of an item, each with what still rings of those before; a short fade at both ends."""
    piece = PIECES[name]
    rng = np.random.default_rng([seed, *name.encode()])
    room = Room(rng, seconds=piece.room_s, wet=piece.wet, low=piece.low, high=piece.high)
    n, fade = piece.bar_samples, n_samples(FADE_S)
    ringing = np.zeros(n_samples(RING_S) + room.n_tail, np.float32)
    for k in range(piece.n_bars):
        dry = mix(n + n_samples(RING_S), piece.bar(k, rng))
        sound = np.zeros(n + len(ringing), np.float32)
        sound[: len(ringing)] += ringing
        sound += np.float32(piece.gain) * room(dry)
        bar, ringing = sound[:n], sound[n:]
        if k == 0:
            bar[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        if k == piece.n_bars - 1:
            bar[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        yield np.clip(bar, -1, 1)

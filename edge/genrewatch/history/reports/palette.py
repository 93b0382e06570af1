"""Colours of a report's picture: a genre has the same one in every picture; what is no genre is grey or hatched.

Those of the genres are Paul Tol's `muted` scheme and three of his `vibrant`, which colour-blind people can tell apart
(https://personal.sron.nl/~pault/).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from genrewatch.history.reports.report import DEAD_AIR, LOST, NOT_MUSIC, REFUSED, SILENCE

Colour = str

GENRES: dict[str, Colour] = {
    "blues": "#332288",
    "classical": "#88ccee",
    "country": "#999933",
    "disco": "#ee7733",
    "hiphop": "#aa4499",
    "jazz": "#ddcc77",
    "metal": "#882255",
    "pop": "#cc6677",
    "reggae": "#117733",
    "rock": "#44aa99",
}
MORE: tuple[Colour, ...] = ("#0077bb", "#ee3377", "#6699cc", "#997700", "#994455", "#004488", "#eecc66", "#225522")
"""For genres that the shipped model does not know."""


@dataclass(frozen=True, kw_only=True)
class Fill:
    """A colour, or lines of another colour across it."""

    colour: Colour
    lines: Colour | None = None
    rising: bool = True
    """Whether the lines go up to the right."""
    every: int = 12
    """Device pixels from line to line."""


OTHERS = {
    SILENCE: Fill(colour="#dcdcdc"),
    NOT_MUSIC: Fill(colour="#a3a3a3"),
    REFUSED: Fill(colour="#f3f3f3", lines="#b4b4b4"),
    DEAD_AIR: Fill(colour="#303030"),
    LOST: Fill(colour="#ffffff", lines="#303030", rising=False, every=8),
}


def fills(genres: Sequence[str]) -> dict[str, Fill]:
    """The fill of each genre, and of what is none."""
    given = {genre: Fill(colour=GENRES[genre]) for genre in genres if genre in GENRES}
    unused = [*MORE, *(colour for genre, colour in GENRES.items() if genre not in genres)]
    strangers = sorted(genre for genre in genres if genre not in GENRES)
    given |= {genre: Fill(colour=unused[i % len(unused)]) for i, genre in enumerate(strangers)}
    return {**given, **OTHERS}


def paint(image: Image.Image, box: tuple[int, int, int, int], fill: Fill) -> None:
    """Fills [left, right) x [top, bottom); the lines of neighbouring boxes meet."""
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        return
    patch = Image.new("RGB", (right - left, bottom - top), fill.colour)
    if fill.lines:
        pen, height = ImageDraw.Draw(patch), bottom - top
        lean = height if fill.rising else -height
        phase = (left + bottom if fill.rising else left - bottom) % fill.every
        for x in range(-height - phase - fill.every, right - left + height + fill.every, fill.every):
            pen.line((x, height, x + lean, 0), fill=fill.lines, width=2)
    image.paste(patch, (left, top))

"""Colours of a chart: a genre has the same colour in every chart; time without a genre is grey or hatched.

The colours of the genres are Paul Tol's `muted` scheme and three of his `vibrant` scheme, which colour-blind people can
distinguish (https://personal.sron.nl/~pault/).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from genrewatch.history.reports.report import DEAD_AIR, LOST, NOT_MUSIC, REFUSED, SILENCE, WARMING_UP

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
"""Colours for genres of other models."""


@dataclass(frozen=True, kw_only=True)
class Fill:
    """A colour, optionally hatched with lines of another colour."""

    colour: Colour
    lines: Colour | None = None
    rising: bool = True
    """Direction of the lines: up to the right, else down."""
    spacing: int = 12
    """Pixels from line to line."""


NO_GENRE_FILLS = {
    SILENCE: Fill(colour="#dcdcdc"),
    NOT_MUSIC: Fill(colour="#a3a3a3"),
    REFUSED: Fill(colour="#f3f3f3", lines="#b4b4b4"),
    WARMING_UP: Fill(colour="#f9f9f9", lines="#d8d8d8", spacing=24),
    DEAD_AIR: Fill(colour="#303030"),
    LOST: Fill(colour="#ffffff", lines="#303030", rising=False, spacing=8),
}


def fills(genres: Sequence[str]) -> dict[str, Fill]:
    """Return the fill of each genre and of each kind of time without a genre."""
    known = {genre: Fill(colour=GENRES[genre]) for genre in genres if genre in GENRES}
    unused = [*MORE, *(colour for genre, colour in GENRES.items() if genre not in genres)]
    others = sorted(genre for genre in genres if genre not in GENRES)
    known |= {genre: Fill(colour=unused[i % len(unused)]) for i, genre in enumerate(others)}
    return {**known, **NO_GENRE_FILLS}


def paint(image: Image.Image, box: tuple[int, int, int, int], fill: Fill) -> None:
    """Fill [left, right) x [top, bottom); the lines of adjacent boxes join."""
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        return
    area = Image.new("RGB", (right - left, bottom - top), fill.colour)
    if fill.lines:
        pen, height = ImageDraw.Draw(area), bottom - top
        slant = height if fill.rising else -height
        phase = (left + bottom if fill.rising else left - bottom) % fill.spacing
        for x in range(-height - phase - fill.spacing, right - left + height + fill.spacing, fill.spacing):
            pen.line((x, height, x + slant, 0), fill=fill.lines, width=2)
    image.paste(area, (left, top))

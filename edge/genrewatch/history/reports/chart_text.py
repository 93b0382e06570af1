"""Text in a chart, in Pillow's own scalable font, so that a chart looks the same on every machine.

Sizes are in points of two pixels, so that a chart is sharp on a high-resolution screen.
"""

import unicodedata
from functools import lru_cache

from PIL import ImageFont

SCALE = 2
"""Pixels per point."""


def printable(text: str) -> str:
    """Replace characters that Pillow's font lacks: accents are removed, other characters become question marks."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" or c == "·" else "?" for c in bare.replace("ß", "ss"))


def truncated(text: str, size: int, width: int) -> str:
    """Return the printable text, shortened to at most `width` pixels at a font size of `size` points."""
    text = printable(text)
    if text_width(text, size) <= width:
        return text
    while text and text_width(f"{text}...", size) > width:
        text = text[:-1]
    return f"{text.rstrip()}..."


def text_width(text: str, size: int) -> int:
    """Return the width in pixels at a font size of `size` points."""
    return round(font(size).getlength(printable(text)))


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Load Pillow's font at `size` points."""
    found = ImageFont.load_default(px(size))
    assert isinstance(found, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return found


def px(points: int) -> int:
    """Convert points to pixels."""
    return points * SCALE

"""Text in a picture, in the scalable font that Pillow brings, so that it looks the same on every box.

Measures are in points, each of which is two pixels wide, so that a picture is crisp on a fine screen.
"""

import unicodedata
from functools import lru_cache

from PIL import ImageFont

SCALE = 2


def plain(text: str) -> str:
    """In the letters that Pillow's font has: others lose their accents, or become a question mark."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" or c == "·" else "?" for c in bare.replace("ß", "ss"))


def fitted(text: str, size: int, width: int) -> str:
    """The text, or as much of its beginning as has room in so many pixels."""
    text = plain(text)
    if wide(text, size) <= width:
        return text
    while text and wide(f"{text}...", size) > width:
        text = text[:-1]
    return f"{text.rstrip()}..."


def wide(text: str, size: int) -> int:
    """How wide it is in so many points, pixels."""
    return round(font(size).getlength(plain(text)))


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own, in so many points."""
    found = ImageFont.load_default(px(size))
    assert isinstance(found, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return found


def px(points: int) -> int:
    """Points in pixels."""
    return points * SCALE

"""Icon and logo of the Home Assistant app, drawn as the page's icon: `python -m docs.scripts.app_images`."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

APP = Path(__file__).parents[2] / "deploy" / "home_assistant_app"
TEAL, WHITE = "#0b5f59", "#ffffff"
BARS = ((6, 14, 4, 12), (14, 6, 4, 20), (22, 10, 4, 16))
"""x, y, width and height of the bars in the icon of 32 x 32."""
SCALE = 4  # drawn larger and reduced, for smooth edges


def icon(size: int) -> Image.Image:
    """Return the icon, (size, size)."""
    unit = size * SCALE / 32
    image = Image.new("RGBA", (size * SCALE, size * SCALE))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, size * SCALE - 1, size * SCALE - 1), radius=6 * unit, fill=TEAL)
    for x, y, width, height in BARS:
        draw.rectangle((x * unit, y * unit, (x + width) * unit - 1, (y + height) * unit - 1), fill=WHITE)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def logo() -> Image.Image:
    """Return the icon and the name, (100, 250)."""
    image = Image.new("RGBA", (250, 100))
    image.paste(icon(64), (4, 18))
    ImageDraw.Draw(image).text((80, 50), "genrewatch", font=ImageFont.load_default(28), fill=TEAL, anchor="lm")
    return image


if __name__ == "__main__":
    icon(128).save(APP / "icon.png", optimize=True)
    logo().save(APP / "logo.png", optimize=True)

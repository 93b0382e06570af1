"""A report as a picture: a stacked bar for each row, as high as was listened, drawn with Pillow (the extra `plot`).

Rows in which nothing was heard keep their place, so that time runs evenly.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo

from PIL import Image, ImageDraw

from genrewatch.contract.errors import ConfigError
from genrewatch.history.reports.bins import HOUR_MS
from genrewatch.history.reports.lettering import SCALE, fitted, font, plain, px, wide
from genrewatch.history.reports.palette import Fill, fills, paint
from genrewatch.history.reports.report import Report, Row, without_gaps
from genrewatch.host.times import duration_text, local_time

MOST_BARS = 400
MARGIN, HEAD, FOOT = 28, 92, 52
PLOT_HEIGHT, NARROWEST, WIDEST = 320, 200, 960
SLOT, SLOT_LEAST, BAR_MOST = 40, 4, 72
LEGEND_GAP, LEGEND_LINE = 28, 21
INK, FAINT, GRID, PAPER = "#222222", "#6b6b6b", "#e6e6e6", "#ffffff"
TITLE, TEXT, SMALL = 21, 13, 12

Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The axis of time listened."""

    top_ms: int
    step_ms: int
    unit_ms: int
    unit: str

    def label(self, ms: int) -> str:
        """`15 min`."""
        return f"{ms // self.unit_ms} {self.unit}" if ms else "0"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where things are, pixels."""

    width: int
    height: int
    plot: Box
    slot: float
    """From bar to bar."""
    bar: int
    """Width of one."""
    legend: tuple[int, int, int]
    """Left edge, where names begin, right edge."""

    def bar_box(self, index: int) -> tuple[int, int]:
        """Left and right edge of a bar."""
        left = self.plot[0] + round((index + 0.5) * self.slot - self.bar / 2)
        return left, left + self.bar


def draw(found: Report, *, title: str, zone: tzinfo | None = None) -> Image.Image:
    """The picture; `zone` None is that of the system. ConfigError when the bars would be too many to see."""
    rows = without_gaps(found, zone)
    if len(rows) > MOST_BARS:
        raise ConfigError("--png", f"{len(rows)} bars", f"at most {MOST_BARS}: a shorter range, or --by day")
    subtitle = _subtitle(found, rows, zone)
    scale = time_scale(max(row.listened_ms for row in rows))
    layout = lay_out(found, rows, scale, least_width=max(wide(title, TITLE), wide(subtitle, TEXT)))
    image = Image.new("RGB", (layout.width, layout.height), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((px(MARGIN), px(22)), plain(title), fill=INK, font=font(TITLE))
    pen.text((px(MARGIN), px(50)), plain(subtitle), fill=FAINT, font=font(TEXT))
    _draw_axis(pen, layout, scale)
    colours = fills(found.genres)
    for index, row in enumerate(rows):
        _draw_bar(image, layout, scale, index, row, found, colours)
    left, _, right, bottom = layout.plot
    pen.line((left, bottom, right, bottom), fill=INK, width=SCALE)
    _draw_names(pen, layout, found, rows, zone)
    _draw_legend(image, pen, layout, found, colours)
    return image


def time_scale(most_ms: int) -> Scale:
    """Round steps, six at most, up to what is needed; an hour of sound may last a moment more by another clock."""
    minute, most_ms = 60_000, most_ms * 995 // 1000
    for unit_ms, unit, steps in (
        (1000, "s", (1, 2, 5, 10, 15, 30)),
        (minute, "min", (1, 2, 5, 10, 15, 30)),
        (HOUR_MS, "h", (1, 2, 3, 6, 12, 24, 48, 120, 240, 480, 1200, 2400, 4800, 12_000, 24_000)),
    ):
        for step in steps:
            count = -(-most_ms // (step * unit_ms))
            if count <= (4 if unit != "h" else 6):
                return Scale(top_ms=max(1, count) * step * unit_ms, step_ms=step * unit_ms, unit_ms=unit_ms, unit=unit)
    step_ms = -(-most_ms // (6 * HOUR_MS)) * HOUR_MS
    return Scale(top_ms=6 * step_ms, step_ms=step_ms, unit_ms=HOUR_MS, unit="h")


def lay_out(found: Report, rows: list[Row], scale: Scale, *, least_width: int) -> Layout:
    """As wide as the bars and the legend need."""
    slot_px = px(SLOT)
    if found.by == "source":
        slot_px = min(max(px(64), *(wide(row.name, SMALL) + px(14) for row in rows)), px(150))
    plot_width = max(px(NARROWEST), min(len(rows) * slot_px, px(WIDEST)), len(rows) * px(SLOT_LEAST))
    left = px(MARGIN) + max(wide(scale.label(ms), SMALL) for ms in (0, scale.top_ms)) + px(8)
    top, bottom = px(HEAD), px(HEAD + PLOT_HEIGHT)
    legend_left = left + plot_width + px(LEGEND_GAP)
    names = legend_left + px(22)
    keys = [*found.genres, *found.others]
    legend_right = names + max(wide(_name(key), TEXT) for key in keys) + px(16) + wide("100.0 %", TEXT)
    slot = plot_width / len(rows)
    below = max(bottom + px(FOOT), top + px(LEGEND_LINE) * len(keys) + px(MARGIN))
    return Layout(
        width=max(legend_right, px(MARGIN) + least_width) + px(MARGIN),
        height=below,
        plot=(left, top, left + plot_width, bottom),
        slot=slot,
        bar=max(1, min(round(0.76 * slot), px(BAR_MOST))),
        legend=(legend_left, names, legend_right),
    )


def _draw_axis(pen: ImageDraw.ImageDraw, layout: Layout, scale: Scale) -> None:
    left, _, right, bottom = layout.plot
    for ms in range(0, scale.top_ms + 1, scale.step_ms):
        y = bottom - _high(ms, layout, scale)
        if ms:
            pen.line((left, y, right, y), fill=GRID, width=SCALE)
        pen.text((left - px(8), y), scale.label(ms), fill=FAINT, font=font(SMALL), anchor="rm")


def _draw_bar(
    image: Image.Image, layout: Layout, scale: Scale, index: int, row: Row, found: Report, colours: dict[str, Fill]
) -> None:
    """Heights are differences of rounded sums, so that no rounding shows at the top."""
    (left, right), bottom = layout.bar_box(index), layout.plot[3]
    below_ms, seam = 0, SCALE // 2
    for key, ms in ((key, _ms(row, key, found)) for key in (*found.genres, *found.others)):
        low, high = _high(below_ms, layout, scale), _high(below_ms + ms, layout, scale)
        paint(image, (left, bottom - high, right, bottom - low), colours[key])
        if below_ms and high - low > 4 * seam:
            paint(image, (left, bottom - low - seam, right, bottom - low), Fill(colour=PAPER))
        below_ms += ms


def _draw_names(pen: ImageDraw.ImageDraw, layout: Layout, found: Report, rows: list[Row], zone: tzinfo | None) -> None:
    """Below the bars: as many as have room, and below those the date where a new one begins."""
    y, free_from, shown = layout.plot[3] + px(8), 0, ""
    for index, (name, context) in enumerate(bar_names(found, rows, layout.slot, zone)):
        left, right = layout.bar_box(index)
        pen.text(((left + right) // 2, y), name, fill=INK, font=font(SMALL), anchor="ma")
        if context != shown and left >= free_from:
            pen.text((left, y + px(18)), context, fill=FAINT, font=font(SMALL))
            free_from, shown = left + wide(context, SMALL) + px(12), context


def bar_names(found: Report, rows: list[Row], slot: float, zone: tzinfo | None) -> list[tuple[str, str]]:
    """(name, date) for each bar, the name empty where there is no room for all: hours and days that come regularly."""
    if found.by == "source":
        return [(fitted(row.name, SMALL, round(slot) - px(6)), "") for row in rows]
    stamps = [_stamp(row, zone) for row in rows]
    room = wide("00", SMALL) + px(8)
    steps = (1, 2, 3, 4, 6, 12, 24) if found.by == "hour" else (1, 2, 7, 14, 28)
    step = next((step for step in steps if step * slot >= room), steps[-1])
    if found.by == "hour":
        return [(f"{s:%H}" if s.hour % step == 0 else "", f"{s:%a} {s.day} {s:%b}") for s in stamps]
    fits = [step == 1 or (s.day <= 28 and (s.day - 1) % step == 0) for s in stamps]
    return [(str(s.day) if fit else "", f"{s:%b %Y}") for s, fit in zip(stamps, fits, strict=True)]


def _draw_legend(
    image: Image.Image, pen: ImageDraw.ImageDraw, layout: Layout, found: Report, colours: dict[str, Fill]
) -> None:
    left, names, right = layout.legend
    for line, key in enumerate((*found.genres, *found.others)):
        middle = layout.plot[1] + px(LEGEND_LINE) * line + px(LEGEND_LINE) // 2
        box = (left, middle - px(7), left + px(14), middle + px(7))
        paint(image, box, colours[key])
        if key not in found.genres:
            pen.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), outline="#9a9a9a")
        share = 100 * _ms(found.total, key, found) / found.total.listened_ms
        pen.text((names, middle), plain(_name(key)), fill=INK, font=font(TEXT), anchor="lm")
        words = f"{share:.1f} %" if share >= 0.1 else "< 0.1 %"
        pen.text((right, middle), words, fill=FAINT, font=font(TEXT), anchor="rm")


def _subtitle(found: Report, rows: list[Row], zone: tzinfo | None) -> str:
    listened = f"{duration_text(found.total.listened_ms)} listened"
    if found.by == "source":
        return f"{len(rows)} source{'s' if len(rows) > 1 else ''} · {listened}"
    first, last = _stamp(rows[0], zone), _stamp(rows[-1], zone)
    days = f"{first.day} {first:%b %Y}"
    if first.date() != last.date():
        days += f" - {last.day} {last:%b %Y}"
    return f"{days} · {listened}"


def _stamp(row: Row, zone: tzinfo | None) -> datetime:
    assert row.start_ms is not None
    return local_time(row.start_ms, zone)


def _ms(row: Row, key: str, found: Report) -> int:
    return row.genres[key] if key in found.genres else row.others[key]


def _high(ms: int, layout: Layout, scale: Scale) -> int:
    """How high above the axis so much time is, pixels."""
    return round(ms * (layout.plot[3] - layout.plot[1]) / scale.top_ms)


def _name(key: str) -> str:
    return key.replace("_", " ")

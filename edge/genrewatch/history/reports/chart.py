"""A report as a chart: one stacked bar per row, its height the listening time, drawn with Pillow (extra `plot`).

Rows without sound keep their place, so that the time axis is even.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo

from PIL import Image, ImageDraw

from genrewatch.contract.errors import ConfigError
from genrewatch.history.reports.calendar_bins import HOUR_MS
from genrewatch.history.reports.chart_colours import Fill, fills, paint
from genrewatch.history.reports.chart_text import SCALE, font, printable, px, text_width, truncated
from genrewatch.history.reports.report import Report, Row, bins_spanned, fill_gaps
from genrewatch.host.times import duration_text, local_time

MAX_BARS = 400
MAX_GENRES = 200
MARGIN, HEADER, FOOTER = 28, 92, 52
PLOT_HEIGHT, MIN_PLOT_WIDTH, MAX_PLOT_WIDTH = 320, 200, 960
SLOT, MIN_SLOT, MAX_BAR_WIDTH = 40, 4, 72
LEGEND_GAP, LEGEND_LINE = 28, 21
INK, FAINT, GRID, PAPER = "#222222", "#6b6b6b", "#e6e6e6", "#ffffff"
TITLE, TEXT, SMALL = 21, 13, 12

Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The axis of listening time."""

    top_ms: int
    step_ms: int
    unit_ms: int
    unit: str

    def label(self, ms: int) -> str:
        """Format a tick: `15 min`."""
        return f"{ms // self.unit_ms} {self.unit}" if ms else "0"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Positions in the image, pixels."""

    width: int
    height: int
    plot: Box
    slot: float
    """Distance from bar to bar."""
    bar: int
    """Width of a bar."""
    legend: tuple[int, int, int]
    """Left edge, left edge of the names, right edge."""

    def bar_box(self, index: int) -> tuple[int, int]:
        """Return left and right edge of a bar."""
        left = self.plot[0] + round((index + 0.5) * self.slot - self.bar / 2)
        return left, left + self.bar


def draw_chart(report: Report, *, title: str, zone: tzinfo | None = None) -> Image.Image:
    """Draw a report; `zone` None is that of the system. ConfigError for more than `MAX_BARS` bars."""
    bars = bins_spanned(report)
    if bars > MAX_BARS + 1:  # days of 23 or 25 hours: about
        raise _too_many(bars)
    rows = fill_gaps(report, zone)
    if len(rows) > MAX_BARS:
        raise _too_many(len(rows))
    if len(report.genres) > MAX_GENRES:
        raise ConfigError("--png", f"{len(report.genres)} genres", f"at most {MAX_GENRES}: fewer sources")
    subtitle = _subtitle(report, rows, zone)
    scale = time_scale(max(row.listened_ms for row in rows))
    layout = lay_out(report, rows, scale, least_width=max(text_width(title, TITLE), text_width(subtitle, TEXT)))
    image = Image.new("RGB", (layout.width, layout.height), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((px(MARGIN), px(22)), printable(title), fill=INK, font=font(TITLE))
    pen.text((px(MARGIN), px(50)), printable(subtitle), fill=FAINT, font=font(TEXT))
    _draw_axis(pen, layout, scale)
    colours = fills(report.genres)
    for index, row in enumerate(rows):
        _draw_bar(image, layout, scale, index, row, report, colours)
    left, _, right, bottom = layout.plot
    pen.line((left, bottom, right, bottom), fill=INK, width=SCALE)
    _draw_names(pen, layout, report, rows, zone)
    _draw_legend(image, pen, layout, report, colours)
    return image


def time_scale(most_ms: int) -> Scale:
    """Return an axis with at most six round steps that reaches `most_ms`.

    0.5 % beyond the axis is accepted: an hour of sound can last a moment longer by the monotonic clock.
    """
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


def lay_out(report: Report, rows: list[Row], scale: Scale, *, least_width: int) -> Layout:
    """Compute the positions; the width fits the bars and the legend."""
    slot_px = px(SLOT)
    if report.by == "source":
        slot_px = min(max(px(64), *(text_width(row.name, SMALL) + px(14) for row in rows)), px(150))
    plot_width = max(px(MIN_PLOT_WIDTH), min(len(rows) * slot_px, px(MAX_PLOT_WIDTH)), len(rows) * px(MIN_SLOT))
    left = px(MARGIN) + max(text_width(scale.label(ms), SMALL) for ms in (0, scale.top_ms)) + px(8)
    top, bottom = px(HEADER), px(HEADER + PLOT_HEIGHT)
    legend_left = left + plot_width + px(LEGEND_GAP)
    names = legend_left + px(22)
    keys = [*report.genres, *report.others]
    legend_right = names + max(text_width(_label(key), TEXT) for key in keys) + px(16) + text_width("100.0 %", TEXT)
    slot = plot_width / len(rows)
    below = max(bottom + px(FOOTER), top + px(LEGEND_LINE) * len(keys) + px(MARGIN))
    return Layout(
        width=max(legend_right, px(MARGIN) + least_width) + px(MARGIN),
        height=below,
        plot=(left, top, left + plot_width, bottom),
        slot=slot,
        bar=max(1, min(round(0.76 * slot), px(MAX_BAR_WIDTH))),
        legend=(legend_left, names, legend_right),
    )


def _draw_axis(pen: ImageDraw.ImageDraw, layout: Layout, scale: Scale) -> None:
    left, _, right, bottom = layout.plot
    for ms in range(0, scale.top_ms + 1, scale.step_ms):
        y = bottom - _height(ms, layout, scale)
        if ms:
            pen.line((left, y, right, y), fill=GRID, width=SCALE)
        pen.text((left - px(8), y), scale.label(ms), fill=FAINT, font=font(SMALL), anchor="rm")


def _draw_bar(
    image: Image.Image, layout: Layout, scale: Scale, index: int, row: Row, report: Report, colours: dict[str, Fill]
) -> None:
    """Draw a bar; heights are differences of rounded sums, so that rounding does not show at the top."""
    (left, right), bottom = layout.bar_box(index), layout.plot[3]
    below_ms, seam = 0, SCALE // 2
    for key, ms in ((key, _ms(row, key, report)) for key in (*report.genres, *report.others)):
        low, high = _height(below_ms, layout, scale), _height(below_ms + ms, layout, scale)
        paint(image, (left, bottom - high, right, bottom - low), colours[key])
        if below_ms and high - low > 4 * seam:
            paint(image, (left, bottom - low - seam, right, bottom - low), Fill(colour=PAPER))
        below_ms += ms


def _draw_names(pen: ImageDraw.ImageDraw, layout: Layout, report: Report, rows: list[Row], zone: tzinfo | None) -> None:
    """Write names below the bars, as many as have room, and below them the date where it changes."""
    y, free_x, shown = layout.plot[3] + px(8), 0, ""
    for index, (name, context) in enumerate(bar_names(report, rows, layout.slot, zone)):
        left, right = layout.bar_box(index)
        pen.text(((left + right) // 2, y), name, fill=INK, font=font(SMALL), anchor="ma")
        if context != shown and left >= free_x:
            pen.text((left, y + px(18)), context, fill=FAINT, font=font(SMALL))
            free_x, shown = left + text_width(context, SMALL) + px(12), context


def bar_names(report: Report, rows: list[Row], slot: float, zone: tzinfo | None) -> list[tuple[str, str]]:
    """Return (name, date) of each bar; where names have no room, only every n-th has one."""
    if report.by == "source":
        return [(truncated(row.name, SMALL, round(slot) - px(6)), "") for row in rows]
    stamps = [_stamp(row, zone) for row in rows]
    room = text_width("00", SMALL) + px(8)
    steps = (1, 2, 3, 4, 6, 12, 24) if report.by == "hour" else (1, 2, 7, 14, 28)
    step = next((step for step in steps if step * slot >= room), steps[-1])
    if report.by == "hour":
        return [(f"{s:%H}" if s.hour % step == 0 else "", f"{s:%a} {s.day} {s:%b}") for s in stamps]
    if report.by in ("week", "month"):
        form, context = ("%d", "%b %Y") if report.by == "week" else ("%m", "%Y")
        return [(f"{s:{form}}" if n % step == 0 else "", f"{s:{context}}") for n, s in enumerate(stamps)]
    fits = [step == 1 or (s.day <= 28 and (s.day - 1) % step == 0) for s in stamps]
    return [(str(s.day) if fit else "", f"{s:%b %Y}") for s, fit in zip(stamps, fits, strict=True)]


def _draw_legend(
    image: Image.Image, pen: ImageDraw.ImageDraw, layout: Layout, report: Report, colours: dict[str, Fill]
) -> None:
    left, names, right = layout.legend
    for line, key in enumerate((*report.genres, *report.others)):
        middle = layout.plot[1] + px(LEGEND_LINE) * line + px(LEGEND_LINE) // 2
        box = (left, middle - px(7), left + px(14), middle + px(7))
        paint(image, box, colours[key])
        if key not in report.genres:
            pen.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), outline="#9a9a9a")
        share = 100 * _ms(report.total, key, report) / report.total.listened_ms
        pen.text((names, middle), printable(_label(key)), fill=INK, font=font(TEXT), anchor="lm")
        text = f"{share:.1f} %" if share >= 0.1 else "< 0.1 %"
        pen.text((right, middle), text, fill=FAINT, font=font(TEXT), anchor="rm")


def _too_many(bars: int) -> ConfigError:
    return ConfigError("--png", f"{bars} bars", f"at most {MAX_BARS}: a shorter range, or a longer --by")


def _subtitle(report: Report, rows: list[Row], zone: tzinfo | None) -> str:
    listened = f"{duration_text(report.total.listened_ms)} listened"
    if report.by == "source":
        return f"{len(rows)} source{'s' if len(rows) > 1 else ''} · {listened}"
    first, last = _stamp(rows[0], zone), _stamp(rows[-1], zone)
    days = f"{first.day} {first:%b %Y}"
    if first.date() != last.date():
        days += f" - {last.day} {last:%b %Y}"
    return f"{days} · {listened}"


def _stamp(row: Row, zone: tzinfo | None) -> datetime:
    assert row.start_ms is not None
    return local_time(row.start_ms, zone)


def _ms(row: Row, key: str, report: Report) -> int:
    return row.genres[key] if key in report.genres else row.others[key]


def _height(ms: int, layout: Layout, scale: Scale) -> int:
    """Return the height of a duration, pixels."""
    return round(ms * (layout.plot[3] - layout.plot[1]) / scale.top_ms)


def _label(key: str) -> str:
    return key.replace("_", " ")

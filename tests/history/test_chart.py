"""The chart of a report: heights and colours match the numbers."""

import subprocess
import sys
import time
from collections import Counter
from datetime import UTC
from itertools import pairwise

import pytest
from PIL import Image
from tests.history.rig import spell

from genrewatch.cli import main
from genrewatch.contract.errors import ConfigError
from genrewatch.history.database import database_path
from genrewatch.history.reports.chart import MAX_BARS, bar_names, draw_chart, lay_out, time_scale
from genrewatch.history.reports.chart_colours import GENRES, NO_GENRE_FILLS, fills
from genrewatch.history.reports.chart_text import printable
from genrewatch.history.reports.report import Report, Row
from genrewatch.history.store import HistoryStore
from genrewatch.host.times import rfc3339_to_ms

HOUR_MS = 3_600_000
START = rfc3339_to_ms("2026-11-24T00:00:00Z")


def hours(*contents, by="hour", length_ms=HOUR_MS):
    """A report with a row per hour; each content maps a genre or other kind to milliseconds."""
    rows, total = [], Row(name="total")
    for index, content in enumerate(contents):
        row = Row(name=f"s{index}", start_ms=START + index * length_ms, end_ms=START + (index + 1) * length_ms)
        for key, ms in content.items():
            (row.others if key in NO_GENRE_FILLS else row.genres)[key] += ms
            (total.others if key in NO_GENRE_FILLS else total.genres)[key] += ms
        rows.append(row)
    return Report(
        by=by, rows=rows, total=total, genres=list(total.genres), others=[k for k in NO_GENRE_FILLS if total.others[k]]
    )


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))


def colours(image):
    """All kinds that occur."""
    return {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}


def column(image, layout, index):
    """Colours along the middle of a bar, from the axis upwards."""
    left, right = layout.bar_box(index)
    return [image.getpixel(((left + right) // 2, y)) for y in range(layout.plot[3] - 1, layout.plot[1] - 1, -1)]


def drawn(found):
    image = draw_chart(found, title="box", zone=UTC)
    layout = lay_out(found, found.rows, time_scale(max(row.listened_ms for row in found.rows)), least_width=0)
    return image, layout


def test_parts_of_a_bar_are_stacked_with_heights_proportional_to_time():
    found = hours({"rock": 1_800_000, "jazz": 900_000, "silence": 450_000, "dead_air": 450_000}, {"jazz": 900_000})
    image, layout = drawn(found)
    full = layout.plot[3] - layout.plot[1]
    heights = Counter(column(image, layout, 0))
    for key, share in {"rock": 1 / 2, "jazz": 1 / 4, "silence": 1 / 8, "dead_air": 1 / 8}.items():
        colour = rgb(fills(found.genres)[key].colour)
        assert heights[colour] == pytest.approx(share * full, abs=4)  # seams and the axis take a little
    order = list(dict.fromkeys(colour for colour in column(image, layout, 0) if heights[colour] > 10))
    assert order == [
        rgb(GENRES["rock"]),
        rgb(GENRES["jazz"]),
        rgb(NO_GENRE_FILLS["silence"].colour),
        rgb(NO_GENRE_FILLS["dead_air"].colour),
    ]
    second = Counter(column(image, layout, 1))
    assert second[rgb(GENRES["jazz"])] == pytest.approx(full / 4, abs=4)
    assert second[(255, 255, 255)] >= 0.7 * full


def test_refused_and_lost_time_are_hatched_differently():
    found = hours({"refused": 1_800_000, "lost": 1_800_000})
    image, layout = drawn(found)
    left, right = layout.bar_box(0)
    middle = (layout.plot[1] + layout.plot[3]) // 2
    refused = colours(image.crop((left, middle + 9, right, layout.plot[3] - 9)))
    lost = colours(image.crop((left, layout.plot[1] + 9, right, middle - 9)))
    assert refused == {rgb(NO_GENRE_FILLS["refused"].colour), rgb(NO_GENRE_FILLS["refused"].lines)}
    assert lost == {rgb(NO_GENRE_FILLS["lost"].colour), rgb(NO_GENRE_FILLS["lost"].lines)}


def test_an_hour_without_sound_keeps_its_place():
    found = hours({"rock": HOUR_MS}, {}, {"rock": HOUR_MS})
    found.rows.pop(1)
    image = draw_chart(found, title="box", zone=UTC)
    layout = lay_out(found, [*found.rows, Row()], time_scale(HOUR_MS), least_width=0)
    rock = rgb(GENRES["rock"])
    assert [rock in column(image, layout, index) for index in range(3)] == [True, False, True]


def test_each_genre_has_its_own_colour_whatever_the_other_genres():
    assert len(set(GENRES.values())) == 10
    many = fills(["rock", "polka", "fado", *(f"genre {i}" for i in range(6))])
    colours = [fill.colour for key, fill in many.items() if key not in NO_GENRE_FILLS]
    assert len(set(colours)) == len(colours)
    assert fills(["rock"])["rock"] == fills(sorted(GENRES))["rock"]


@pytest.mark.parametrize(
    ("listened_s", "top", "ticks"),
    [
        (3, "3 s", 3),
        (100, "120 s", 4),
        (3600, "60 min", 4),
        (3603, "60 min", 4),  # an hour of the sound card is slightly longer than one of the clock
        (3700, "90 min", 3),
        (86_400, "24 h", 4),
        (90_000, "30 h", 5),
        (3600 * 9000, "9600 h", 4),
    ],
)
def test_the_axis_has_round_steps_and_room_for_the_highest_bar(listened_s, top, ticks):
    scale = time_scale(1000 * listened_s)
    assert scale.label(scale.top_ms) == top
    assert scale.top_ms / scale.step_ms == ticks
    assert scale.top_ms >= 995 * listened_s


@pytest.mark.parametrize("count", [1, 2, 14, 24, 72, 168, 400])
def test_bars_and_names_do_not_overlap_and_are_inside_the_image(count):
    found = hours(*[{"rock": HOUR_MS, "lost": 1}] * count)
    layout = lay_out(found, found.rows, time_scale(HOUR_MS), least_width=0)
    boxes = [layout.bar_box(index) for index in range(count)]
    assert all(before[1] < after[0] for before, after in pairwise(boxes))
    assert layout.plot[0] <= boxes[0][0]
    assert boxes[-1][1] <= layout.plot[2] < layout.legend[0] < layout.legend[2] < layout.width
    named = [index for index, (name, _) in enumerate(bar_names(found, found.rows, layout.slot, UTC)) if name]
    assert all((after - before) * layout.slot >= 40 for before, after in pairwise(named))
    assert named


def test_names_of_hours_and_days_are_regular():
    found = hours(*[{"rock": HOUR_MS}] * 48)
    assert [name for name, _ in bar_names(found, found.rows, 20.0, UTC) if name] == [
        "00",
        "03",
        "06",
        "09",
        "12",
        "15",
        "18",
        "21",
    ] * 2
    days = hours(*[{"rock": HOUR_MS}] * 40, by="day", length_ms=24 * HOUR_MS)
    names = bar_names(days, days.rows, 10.0, UTC)
    assert [name for name, _ in names if name] == ["1", "8", "15", "22", "1"]  # from 24 November on
    assert names[0][1] == "Nov 2026"


def test_too_many_bars_are_an_error():
    with pytest.raises(ConfigError, match="401 bars, expected at most 400"):
        draw_chart(hours(*[{"rock": 1}] * (MAX_BARS + 1)), title="box", zone=UTC)


def test_characters_that_the_font_lacks_are_replaced():
    assert printable("Größe é 日本 · 5 %") == "Grosse e ?? · 5 %"
    found = hours({"neue Volksmusik é": 1000}, by="source")
    found.rows[0].name = "a source whose name is far too long for the room that there is below its bar"
    assert draw_chart(found, title="日本", zone=UTC).width < 2000


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("GENREWATCH_STATE", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    store = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    store.append([spell("rock", seconds=1800), spell("jazz", start_s=1800, seconds=3600)], [])
    yield tmp_path
    store.close()
    monkeypatch.undo()
    time.tzset()


def test_the_command_writes_a_png_of_the_printed_size(state, capsys):
    file = state / "airtime.png"
    assert main(["report", "--by", "hour", "--png", str(file)]) == 0
    with Image.open(file) as image:
        assert image.format == "PNG"
        assert capsys.readouterr().out == f"{file}: {image.width} x {image.height}\n"
        assert image.width > 800
        seen = colours(image)
    assert {rgb(GENRES["rock"]), rgb(GENRES["jazz"])} <= seen


def test_a_chart_that_cannot_be_written_is_one_line_and_exit_code_2(state, capsys):
    assert main(["report", "--png", str(state / "nowhere" / "a.png")]) == 2
    assert capsys.readouterr().err.endswith("a.png: no such file or directory, expected a file that can be written\n")


def test_without_pillow_other_formats_work_and_the_chart_error_names_the_extra(state):
    code = "import sys; sys.modules['PIL'] = None; from genrewatch.cli import main; sys.exit(main(sys.argv[1:]))"
    table = subprocess.run([sys.executable, "-c", code, "report"], capture_output=True, text=True, check=False)
    assert (table.returncode, table.stderr) == (0, "")
    process = subprocess.run(
        [sys.executable, "-c", code, "report", "--png", "x"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 2
    assert process.stderr == "genrewatch: PIL: is not installed, expected pip install 'genrewatch[plot]'\n"

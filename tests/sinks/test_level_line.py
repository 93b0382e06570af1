"""The level line of the terminal."""

import io

from genrewatch.host.line_writer import LineWriter
from genrewatch.sinks.level_line import CELLS, CLEAR, LevelLine, level_bar


def test_the_bar_grows_with_the_level():
    assert level_bar(None) == "▯" * CELLS + " digital silence"
    assert level_bar(0.0) == "▮" * CELLS + " 0 dBFS"
    assert level_bar(-30.0).count("▮") == CELLS // 2
    assert level_bar(-90.0).count("▮") == 0


def test_each_line_erases_the_level_line_which_has_no_end_of_its_own():
    out = io.StringIO()
    lines = LineWriter(out, "stderr", before=CLEAR)
    sink = LevelLine(lines)
    sink._show("mic", level_bar(-30.0))
    lines.put("genrewatch: a line of the log")
    sink._show("mic", level_bar(None))
    lines.close()
    shown = f"{CLEAR}mic {level_bar(-30.0)}{CLEAR}genrewatch: a line of the log\n{CLEAR}mic {level_bar(None)}"
    assert out.getvalue() == shown

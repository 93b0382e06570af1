"""A terminal's lines as an SVG image that follows the reader's light or dark theme."""

import re
from collections.abc import Sequence
from html import escape

FONT_SIZE, LINE, CHARACTER, MARGIN, BAR = 13, 19, 7.83, 16, 30
"""Pixels: letters, line height, width of a letter, margin, title bar."""

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
STYLE = """\
.w { fill: #f6f8fa; stroke: #d0d7de; } .b { fill: #d0d7de; }
text { fill: #1f2328; }
.p { fill: #0969da; } .g { fill: #1a7f37; font-weight: bold; } .n { fill: #9a6700; } .d { fill: #656d76; }
@media (prefers-color-scheme: dark) {
.w { fill: #0d1117; stroke: #30363d; } .b { fill: #30363d; } text { fill: #e6edf3; }
.p { fill: #58a6ff; } .g { fill: #3fb950; } .n { fill: #d29922; } .d { fill: #8d96a0; }
}"""

VERDICT = re.compile(r"(\S+\s+\S+\s+)(\([a-z\s]+\)|[a-z]+)(\s+\d.*?)(votes:.*)")
"""Time and source, genre or reason, figures, votes."""


def terminal_svg(command: str, lines: Sequence[str]) -> str:
    """Return an SVG image of a window in which `command` has printed `lines`."""
    shown = [f"$ {command}", *lines]
    width = round(2 * MARGIN + CHARACTER * max(map(len, shown)))
    height = BAR + LINE * len(shown) + MARGIN
    texts = [f'<text x="{MARGIN}" y="{BAR + LINE * row}">{_line(text)}</text>' for row, text in enumerate(shown, 1)]
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    window = f'<rect class="w" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>'
    buttons = "".join(f'<circle class="b" cx="{MARGIN + 4 + 18 * number}" cy="16" r="5"/>' for number in range(3))
    title = f"<title>{escape(command)}</title>"
    group = f'<g font-family="{FONT}" font-size="{FONT_SIZE}">'
    parts = [head, title, f"<style>{STYLE}</style>", window, buttons, group, *texts, "</g>", "</svg>"]
    return "\n".join(parts) + "\n"


def _line(text: str) -> str:
    text = text.replace(" ", "\N{NO-BREAK SPACE}")  # several spaces in a row would be drawn as one
    if text.startswith("$"):
        return f'<tspan class="d">{text[:2]}</tspan><tspan class="p">{escape(text[2:])}</tspan>'
    found = VERDICT.fullmatch(text)
    if found is None:
        return f'<tspan class="d">{escape(text)}</tspan>'
    before, answer, figures, votes = map(escape, found.groups())
    coloured = f'<tspan class="{"n" if answer.startswith("(") else "g"}">{answer}</tspan>'
    return f'<tspan class="d">{before}</tspan>{coloured}{figures}<tspan class="d">{votes}</tspan>'

"""Records `genrewatch listen` playing the demo programme, in real time, as `docs/images/terminal.svg`.

It runs the installed command for about four minutes and draws what the command prints on standard output.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from docs.scripts.terminal_svg import terminal_svg

IMAGE = Path(__file__).parents[1] / "images" / "terminal.svg"
ARGUMENTS = ["listen", "--source", "demo:?loop=no", "--mqtt", "none"]
SHOWN = "genrewatch listen --source demo:"
MOST_LINES = 14


def record(arguments: Sequence[str] = ARGUMENTS) -> list[str]:
    """Run the command with a state directory of its own and return the lines that it prints."""
    program = str(Path(sys.executable).with_name("genrewatch"))
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "GENREWATCH_STATE": state}
        printed = subprocess.check_output([program, *arguments], env=environment, stderr=subprocess.DEVNULL, text=True)
    return printed.splitlines()


def main() -> int:
    """Record and write the image, or draw lines that were recorded earlier."""
    parser = argparse.ArgumentParser(prog="python -m docs.scripts.record_terminal", description=__doc__)
    parser.add_argument("--lines", type=Path, metavar="FILE", help="draw the lines of this file instead of recording")
    parser.add_argument("-o", "--output", type=Path, default=IMAGE, metavar="SVG", help="image to write")
    parsed = parser.parse_args()
    lines = parsed.lines.read_text(encoding="utf-8").splitlines() if parsed.lines else record()
    parsed.output.parent.mkdir(exist_ok=True)
    parsed.output.write_text(terminal_svg(SHOWN, lines[:MOST_LINES]), encoding="utf-8")
    print(f"{parsed.output}: {parsed.output.stat().st_size / 1000:.1f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Lines of commands that print what others wrote: no control character of a database or a file reaches the terminal."""

import sys
from collections.abc import Iterable

from genrewatch.host.untrusted_text import printable


def print_lines(lines: Iterable[str]) -> None:
    """Print lines at once, with their control characters replaced."""
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)
    sys.stdout.flush()

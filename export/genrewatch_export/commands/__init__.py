"""The commands of `genrewatch-export`, a module each: it declares its options, and `run` carries it out."""

import sys


def note(text: str) -> None:
    """Print a line of progress on stderr."""
    print(f"genrewatch-export: {text}", file=sys.stderr, flush=True)

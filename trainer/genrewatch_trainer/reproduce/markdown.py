"""Numbers and tables of the report as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def percent(spread: Mapping[str, Any]) -> str:
    """Return a mean in percent, with the standard deviation if there is one."""
    mean = f"{100 * spread['mean']:.1f}"
    return mean if spread["sd"] is None else f"{mean} ± {100 * spread['sd']:.1f}"


def fraction(spread: Mapping[str, Any]) -> str:
    """Return a mean with three decimals, with the standard deviation if there is one."""
    mean = f"{spread['mean']:.3f}"
    return mean if spread["sd"] is None else f"{mean} ± {spread['sd']:.3f}"


def fewer_points(points: float) -> str:
    """Return a difference in percentage points as words."""
    return f"{abs(points):.1f} points {'less' if points >= 0 else 'more'}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)

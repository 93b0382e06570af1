"""What a drill of the history has found: figures by name, and what of them breaks the promise."""

import json
from dataclasses import dataclass, field

Figures = dict[str, int | float | str]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One drill's table."""

    name: str
    """For programs."""
    title: str
    """For people."""
    figures: Figures = field(default_factory=dict)
    """In the order in which they are read."""
    wrong: list[str] = field(default_factory=list)
    """Empty when all is as it must be."""
    skipped: str | None = None
    """Why it was not played."""

    @property
    def verdict(self) -> str:
        """`pass`, `fail` or `skipped`."""
        return "skipped" if self.skipped else "fail" if self.wrong else "pass"

    def words(self) -> str:
        """A line for each figure, and the verdict."""
        width = max((len(name) for name in self.figures), default=0)
        lines = [self.title, *(f"  {name:{width}}  {_cell(value)}" for name, value in self.figures.items())]
        return "\n".join([*lines, f"{self.verdict}: {self._why}"])

    def as_json(self) -> str:
        """One line."""
        fields = {"name": self.name, "verdict": self.verdict, "wrong": self.wrong, "skipped": self.skipped}
        return json.dumps({**fields, "figures": self.figures}, ensure_ascii=False)

    def markdown(self) -> str:
        """A table for a page."""
        rows = [("what", "found"), ("---", "---"), *((name, _cell(value)) for name, value in self.figures.items())]
        table = "".join(f"| {name} | {value} |\n" for name, value in rows)
        return f"{self.title}\n\n{table}\n{self.verdict}: {self._why}\n"

    @property
    def _why(self) -> str:
        return self.skipped or "; ".join(self.wrong) or "every promise was kept"


def _cell(value: int | float | str) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)

"""The report of a campaign: numbers by name, and the problems among them."""

import json
from dataclasses import dataclass, field

Numbers = dict[str, int | float | str]


@dataclass(frozen=True, kw_only=True)
class Report:
    """The table of one campaign."""

    name: str
    """The name in JSON."""
    title: str
    """The heading, for people."""
    numbers: Numbers = field(default_factory=dict)
    """The rows of the table, in order."""
    problems: list[str] = field(default_factory=list)
    """Broken promises; empty for `pass`."""
    skipped: str | None = None
    """The reason why the campaign was not played."""

    @property
    def verdict(self) -> str:
        """`pass`, `fail` or `skipped`."""
        return "skipped" if self.skipped else "fail" if self.problems else "pass"

    def text(self) -> str:
        """Return a line for each number, and the verdict."""
        width = max((len(name) for name in self.numbers), default=0)
        lines = [self.title, *(f"  {name:{width}}  {_cell(value)}" for name, value in self.numbers.items())]
        return "\n".join([*lines, f"{self.verdict}: {self._reason}"])

    def as_json(self) -> str:
        """Return one line of JSON."""
        fields = {"name": self.name, "verdict": self.verdict, "wrong": self.problems, "skipped": self.skipped}
        return json.dumps({**fields, "figures": self.numbers}, ensure_ascii=False)

    def markdown(self) -> str:
        """Return a table for a Markdown page."""
        rows = [("what", "found"), ("---", "---"), *((name, _cell(value)) for name, value in self.numbers.items())]
        table = "".join(f"| {name} | {value} |\n" for name, value in rows)
        return f"{self.title}\n\n{table}\n{self.verdict}: {self._reason}\n"

    @property
    def _reason(self) -> str:
        return self.skipped or "; ".join(self.problems) or "every promise was kept"


def _cell(value: int | float | str) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)

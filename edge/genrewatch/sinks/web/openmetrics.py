"""The text of `/metrics`: OpenMetrics 1.0, or the older text format that every Prometheus reads.

https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["gauge", "counter", "info"]
Labels = Mapping[str, str]
SUFFIXES: Mapping[Kind, str] = {"gauge": "", "counter": "_total", "info": "_info"}
"""Ends of the names of samples."""


@dataclass(kw_only=True)
class Family:
    """A metric with its samples."""

    name: str
    """Name without `_total` or `_info`."""
    kind: Kind
    help: str
    samples: list[tuple[Labels, float]] = field(default_factory=list)

    def add(self, value: float | None, **labels: str) -> None:
        """Add a sample; None adds none."""
        if value is not None:
            self.samples.append((labels, float(value)))

    @property
    def sample_name(self) -> str:
        """Name of the samples."""
        return self.name + SUFFIXES[self.kind]


def exposition(families: Iterable[Family], *, openmetrics: bool) -> str:
    """Return the text of all families that have samples."""
    lines = [line for family in families if family.samples for line in _lines(family, openmetrics)]
    return "\n".join([*lines, *(["# EOF"] if openmetrics else []), ""])


def _lines(family: Family, openmetrics: bool) -> Iterable[str]:
    name = family.name if openmetrics else family.sample_name
    kind = family.kind if openmetrics or family.kind != "info" else "gauge"
    yield f"# HELP {name} {_escaped(family.help, quotes=openmetrics)}"
    yield f"# TYPE {name} {kind}"
    for labels, value in family.samples:
        inside = ",".join(f'{key}="{_escaped(text, quotes=True)}"' for key, text in labels.items())
        yield (
            f"{family.sample_name}{{{inside}}} {_number(value)}" if inside else f"{family.sample_name} {_number(value)}"
        )


def _escaped(text: str, *, quotes: bool) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)

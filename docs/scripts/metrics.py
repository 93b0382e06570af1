"""The reference of the metrics, from the table that `/metrics` is made from."""

from collections.abc import Sequence

from docs.scripts.markdown import code, page, table

from genrewatch.daemon.config_file.tables import sentence
from genrewatch.sinks.web.metric_table import LIVE, NODE, SOURCE
from genrewatch.sinks.web.openmetrics import SUFFIXES, Kind
from genrewatch.sinks.web.process_metrics import PROCESS

INTRODUCTION = """\
`/metrics` serves them as OpenMetrics 1.0 to a scraper that asks for it, else in the older text format. `source` is a
source's id; its name and kind are labels of `genrewatch_source_info` only. Counters start at 0 when genrewatch starts.
[The page](../web.md#prometheus-and-grafana) has the rules and the dashboard that use them.
"""

Row = tuple[str, Kind, str, Sequence[str]]


def metrics_page() -> str:
    """Return the page of metrics."""
    source: list[Row] = [(one.name, one.kind, one.help, one.labels) for one in (*LIVE, *SOURCE)]
    node: list[Row] = [(one.name, one.kind, one.help, one.labels) for one in NODE]
    process: list[Row] = [(name, kind, text, ()) for name, kind, text, _ in PROCESS]
    sections = (("Sources", source), ("Node", node), ("Process", process))
    parts = [f"## {title}\n\n" + _table(rows) for title, rows in sections]
    return page("Metrics", INTRODUCTION, *parts)


def _table(rows: Sequence[Row]) -> str:
    head = ("metric", "kind", "labels", "meaning")
    return table(
        head,
        (
            (code(name + SUFFIXES[kind]), kind, ", ".join(map(code, labels)), sentence(text))
            for name, kind, text, labels in rows
        ),
    )

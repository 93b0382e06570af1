"""The metrics of a node, collected when they are asked for; `metric_table` defines them."""

from collections.abc import Callable

from genrewatch.sinks.web.live_sources import LiveSources
from genrewatch.sinks.web.metric_table import LIVE, NODE, SOURCE, Health
from genrewatch.sinks.web.openmetrics import Family
from genrewatch.sinks.web.process_metrics import process_families


class Metrics:
    """Makes the metrics from the diagnostics and from what the sources have published."""

    def __init__(self, live: LiveSources, health: Callable[[], Health]) -> None:
        """`health` returns the diagnostics of the node."""
        self._live, self._health = live, health

    def families(self) -> list[Family]:
        """Return all metrics."""
        health = self._health()
        node = [((), health)]
        states = [((source_id,), source) for source_id, source in health["sources"].items()]
        with self._live.lock:
            live = [((source_id,), source) for source_id, source in self._live.items()]
            published = [metric.family(live) for metric in LIVE]
        return [
            *(metric.family(node) for metric in NODE),
            *published,
            *(metric.family(states) for metric in SOURCE),
            *process_families(),
        ]

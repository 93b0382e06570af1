"""Every metric of a node with its meaning and where its value comes from; docs/reference/metrics.md is made from it.

Labels are ids and a fixed set of words: no title, station, URL or node, which would make a new series each time.
"""

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from genrewatch import __version__
from genrewatch.inference.pipeline import SegmentResult
from genrewatch.sinks.web.live_sources import LiveSource
from genrewatch.sinks.web.openmetrics import Family, Kind

Health = Mapping[str, Any]
Sample = tuple[tuple[str, ...], float | None]
"""The values of the labels, and the number; None is no sample."""
LOSS_CAUSES = ("restart", "overflow", "queue", "pause")
"""Causes that are 0 from the start, so that an increase is seen."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Metric(Generic[T]):
    """One metric, read from `T`."""

    name: str
    """Name without the suffix of its kind, `_total` or `_info`."""
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Callable[[T], Iterable[Sample]]
    """Returns a sample for each combination of the labels, without the first label of a source's metric."""

    def family(self, items: Iterable[tuple[tuple[str, ...], T]]) -> Family:
        """Return the samples of all items; an item's first values are those of the first labels."""
        made = Family(name=self.name, kind=self.kind, help=self.help)
        for first, item in items:
            for rest, value in self.read(item):
                made.add(value, **dict(zip(self.labels, (*first, *rest), strict=True)))
        return made


def _one(name: str, kind: Kind, text: str, read: Callable[[T], float | None], *labels: str) -> Metric[T]:
    """Return a metric with one sample for each item."""
    return Metric(name=f"genrewatch_{name}", kind=kind, help=text, labels=labels, read=lambda item: [((), read(item))])


def _many(name: str, kind: Kind, text: str, read: Callable[[T], Iterable[Sample]], *labels: str) -> Metric[T]:
    return Metric(name=f"genrewatch_{name}", kind=kind, help=text, labels=labels, read=read)


def _newest(name: str, text: str, read: Callable[[SegmentResult], float | None]) -> Metric[LiveSource]:
    """Return a gauge of the newest segment, absent while no sound arrives."""
    return _one(name, "gauge", text, lambda source: read(source.result) if source.result else None, "source")


def _counts(counts: Mapping[str, float]) -> list[Sample]:
    return [((word,), round(count, 3)) for word, count in sorted(counts.items())]


def _verdicts(source: LiveSource) -> list[Sample]:
    return [((word,), word == source.verdict) for word in sorted({*source.airtime_s, source.verdict})]


LIVE: Sequence[Metric[LiveSource]] = (
    _many(
        "source",
        "info",
        "Names of a source.",
        lambda source: [((source.label.name, source.label.kind), 1)],
        *("source", "name", "kind"),
    ),
    _many("verdict", "gauge", "1 for the verdict at present, 0 for those before it.", _verdicts, "source", "verdict"),
    _newest("confidence_ratio", "Calibrated probability of the genre.", lambda result: result.verdict.confidence),
    _newest("level_dbfs", "RMS level of the newest sound; absent for digital silence.", lambda r: r.level.dbfs),
    _newest("peak_dbfs", "Peak level of the newest sound; absent for digital silence.", lambda r: r.level.peak_dbfs),
    _newest("clipped_ratio", "Share of the newest samples at full scale.", lambda result: result.level.clipped),
    _newest("dead_air", "1 when silence has lasted dead_air_s.", lambda result: result.dead_air),
    _newest(
        "source_bandwidth_hertz",
        "Upper end of the band that carries sound, once it is known.",
        lambda result: result.bandwidth_hz,
    ),
    _one(
        "verdict_last_timestamp_seconds",
        "gauge",
        "Time of the newest segment.",
        lambda source: source.result_at,
        "source",
    ),
    _many(
        "airtime_seconds",
        "counter",
        "Sound received, by the verdict on it.",
        lambda source: _counts(source.airtime_s),
        *("source", "verdict"),
    ),
    _many(
        "ballots",
        "counter",
        "Segments by their label.",
        lambda source: _counts(source.ballot_counts),
        "source",
        "label",
    ),
    _many("events", "counter", "Events by their type.", lambda source: _counts(source.event_counts), "source", "type"),
)
"""Metrics of what a source has published."""


def _of_source(name: str, kind: Kind, text: str, read: Callable[[Health], float | None]) -> Metric[Health]:
    return _one(name, kind, text, read, "source")


SOURCE: Sequence[Metric[Health]] = (
    _of_source("source_up", "gauge", "1 while sound arrives.", lambda source: source["online"]),
    _of_source("source_enabled", "gauge", "0 while switched off by a command.", lambda source: not source["off"]),
    _of_source(
        "hop_factor",
        "gauge",
        "1: every segment is classified; n: every n-th, this machine is too slow.",
        lambda source: source["hop_factor"],
    ),
    _of_source("waiting_seconds", "gauge", "Sound queued for classification.", lambda source: source["waiting_s"]),
    _of_source("heard_seconds", "counter", "Sound received.", lambda source: source["heard_s"]),
    _many(
        "lost_seconds",
        "counter",
        "Sound lost, by cause.",
        lambda source: _counts({**dict.fromkeys(LOSS_CAUSES, 0.0), **source["lost"]}),
        *("source", "cause"),
    ),
    _of_source("segments", "counter", "Segments classified.", lambda source: source["segments"]),
    _of_source(
        "source_far_ratio",
        "gauge",
        "Share of about a day of music that is unlike what the model was trained on; absent before three hours.",
        lambda source: source.get("far"),
    ),
    _of_source("restarts", "counter", "Restarts of the source.", lambda source: source["restarts"]),
)
"""Metrics of a source's diagnostics."""


def _written_bytes(health: Health) -> float | None:
    written_mb = health.get("written_mb")
    return None if written_mb is None else round(1e6 * written_mb)


def _versions(health: Health) -> list[Sample]:
    model = health.get("model") or {"name": "", "version": ""}
    return [((__version__, model["name"], model["version"], platform.python_version()), 1)]


def _hooks(health: Health) -> list[Sample]:
    return [
        ((number, result), count)
        for number, hook in health.get("hooks", {}).items()
        for result, count in (
            ("ok", hook["ran"] - hook["failed"]),
            ("failed", hook["failed"]),
            ("dropped", hook["dropped"]),
            ("suppressed", hook.get("suppressed", 0)),
        )
    ]


def _part(part: str, key: str) -> Callable[[Health], float | None]:
    """Return a reader of a number in `history` or `mqtt`, absent where there is none."""

    def read(health: Health) -> float | None:
        found = health.get(part)
        return None if found is None else found.get(key)

    return read


def _connected(health: Health) -> float | None:
    return None if health.get("mqtt") is None else health["mqtt"]["protocol"] is not None


NODE: Sequence[Metric[Health]] = (
    _many(
        "build",
        "info",
        "Versions of genrewatch, of the model and of Python.",
        _versions,
        *("version", "model", "model_version", "python"),
    ),
    _one("degraded", "gauge", "Number of problems at present.", lambda health: len(health["degraded"])),
    _one(
        "cpu_temperature_celsius",
        "gauge",
        "Temperature of the processor; absent where it cannot be read.",
        lambda health: health["cpu_temperature_c"],
    ),
    _one(
        "written_bytes",
        "counter",
        "Written to disks by the daemon and its ended children; absent where it is not counted.",
        _written_bytes,
    ),
    _many(
        "hook_runs",
        "counter",
        "Events of a hook: ok, failed, dropped, or suppressed by its conditions.",
        _hooks,
        "hook",
        "result",
    ),
    _one("history_stored_spells", "gauge", "Spells kept on disk.", _part("history", "stored")),
    _one(
        "history_waiting_spells",
        "gauge",
        "Spells that the broker has not acknowledged yet.",
        _part("history", "waiting"),
    ),
    _one(
        "history_unsaved_spells",
        "gauge",
        "Spells in memory that cannot be written at present.",
        _part("history", "unsaved"),
    ),
    _one(
        "history_undeliverable_spells",
        "gauge",
        "Spells that stay on this machine only, because the broker does not take them.",
        _part("history", "undeliverable"),
    ),
    _one("history_dropped_spells", "counter", "Spells lost before they were delivered.", _part("history", "dropped")),
    _one("mqtt_connected", "gauge", "1 while there is a connection to the broker.", _connected),
    _one("mqtt_connections", "counter", "Connections since the start.", _part("mqtt", "connections")),
    _one("mqtt_dropped", "counter", "Messages not sent for want of a connection.", _part("mqtt", "dropped")),
    _one("mqtt_commands", "counter", "Commands carried out.", _part("mqtt", "commands")),
    _one("mqtt_ignored", "counter", "Messages on command topics that were no command.", _part("mqtt", "ignored")),
)
"""Metrics of the node's own diagnostics."""

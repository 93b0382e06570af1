"""The metrics of a node, collected when they are asked for.

Labels are ids and a fixed set of words: no title, station, URL or node, which would make a new series each time.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from genrewatch import __version__
from genrewatch.sinks.web.live_sources import LiveSources
from genrewatch.sinks.web.openmetrics import Family, Kind
from genrewatch.sinks.web.process_metrics import process_families

Health = Mapping[str, Any]


class Metrics:
    """Makes the metrics from the diagnostics and from what the sources have published."""

    def __init__(self, live: LiveSources, health: Callable[[], Health]) -> None:
        """`health` returns the diagnostics of the node."""
        self._live, self._health = live, health

    def families(self) -> list[Family]:
        """Return all metrics."""
        health = self._health()
        with self._live.lock:
            sources = [*self._levels(), *self._counted()]
        return [*_build(health), *sources, *_sources(health), *_node(health), *process_families()]

    def _levels(self) -> Iterator[Family]:
        """Yield what the newest segment of each source says."""
        info = _family("source", "info", "Names of a source.")
        verdict = _family("verdict", "gauge", "1 for the verdict at present, 0 for those before it.")
        confidence = _family("confidence_ratio", "gauge", "Calibrated probability of the genre.")
        level = _family("level_dbfs", "gauge", "RMS level of the newest sound; absent for digital silence.")
        peak = _family("peak_dbfs", "gauge", "Peak level of the newest sound; absent for digital silence.")
        clipped = _family("clipped_ratio", "gauge", "Share of the newest samples at full scale.")
        dead_air = _family("dead_air", "gauge", "1 when silence has lasted dead_air_s.")
        band = _family("source_bandwidth_hertz", "gauge", "Upper end of the band that carries sound, once it is known.")
        last = _family("verdict_last_timestamp_seconds", "gauge", "Time of the newest segment.")
        for source_id, source in self._live.items():
            info.add(1, source=source_id, name=source.label.name, kind=source.label.kind)
            for word in sorted({*source.airtime_s, source.verdict}):
                verdict.add(word == source.verdict, source=source_id, verdict=word)
            last.add(source.result_at, source=source_id)
            if (result := source.result) is not None:
                confidence.add(result.verdict.confidence, source=source_id)
                level.add(result.level.dbfs, source=source_id)
                peak.add(result.level.peak_dbfs, source=source_id)
                clipped.add(result.level.clipped, source=source_id)
                dead_air.add(result.dead_air, source=source_id)
                band.add(result.bandwidth_hz, source=source_id)
        yield from (info, verdict, confidence, level, peak, clipped, dead_air, band, last)

    def _counted(self) -> Iterator[Family]:
        """Yield what has been counted since the start."""
        airtime = _family("airtime_seconds", "counter", "Sound received, by the verdict on it.")
        ballots = _family("ballots", "counter", "Segments by their label.")
        events = _family("events", "counter", "Events by their type.")
        for source_id, source in self._live.items():
            for word, seconds in sorted(source.airtime_s.items()):
                airtime.add(round(seconds, 3), source=source_id, verdict=word)
            for label, count in sorted(source.ballot_counts.items()):
                ballots.add(count, source=source_id, label=label)
            for type_, count in sorted(source.event_counts.items()):
                events.add(count, source=source_id, type=type_)
        yield from (airtime, ballots, events)


def _family(name: str, kind: Kind, text: str) -> Family:
    return Family(name=f"genrewatch_{name}", kind=kind, help=text)


def _build(health: Health) -> Iterator[Family]:
    build = _family("build", "info", "Versions of genrewatch, of the model and of Python.")
    model = health.get("model") or {"name": "", "version": ""}
    versions = {"version": __version__, "model": model["name"], "model_version": model["version"]}
    build.add(1, **versions, python=platform.python_version())
    yield build


def _sources(health: Health) -> Iterator[Family]:
    """Yield what the diagnostics hold of each source."""
    up = _family("source_up", "gauge", "1 while sound arrives.")
    enabled = _family("source_enabled", "gauge", "0 while switched off by a command.")
    hop = _family("hop_factor", "gauge", "1: every segment is classified; n: every n-th, this machine is too slow.")
    waiting = _family("waiting_seconds", "gauge", "Sound queued for classification.")
    received = _family("heard_seconds", "counter", "Sound received.")
    lost = _family("lost_seconds", "counter", "Sound lost, by cause.")
    segments = _family("segments", "counter", "Segments classified.")
    restarts = _family("restarts", "counter", "Restarts of the source.")
    for source_id, source in health["sources"].items():
        up.add(source["online"], source=source_id)
        enabled.add(not source["off"], source=source_id)
        hop.add(source["hop_factor"], source=source_id)
        waiting.add(source["waiting_s"], source=source_id)
        received.add(source["heard_s"], source=source_id)
        for cause in sorted({*source["lost"], "restart", "overflow", "queue"}):
            lost.add(source["lost"].get(cause, 0), source=source_id, cause=cause)
        segments.add(source["segments"], source=source_id)
        restarts.add(source["restarts"], source=source_id)
    yield from (up, enabled, hop, waiting, received, lost, segments, restarts)


def _node(health: Health) -> Iterator[Family]:
    """Yield the diagnostics of the node itself."""
    degraded = _family("degraded", "gauge", "Number of problems at present.")
    degraded.add(len(health["degraded"]))
    temperature = _family("cpu_temperature_celsius", "gauge", "Temperature of the processor.")
    temperature.add(health["cpu_temperature_c"])
    runs = _family("hook_runs", "counter", "Runs of a hook, by result.")
    for number, hook in health.get("hooks", {}).items():
        runs.add(hook["ran"] - hook["failed"], hook=number, result="ok")
        runs.add(hook["failed"], hook=number, result="failed")
        runs.add(hook["dropped"], hook=number, result="dropped")
    yield from (degraded, temperature, runs)
    yield from _history(health.get("history"))
    yield from _mqtt(health.get("mqtt"))


def _history(history: Health | None) -> Iterator[Family]:
    if history is None:
        return
    for key, text in (
        ("stored", "Spells kept on disk."),
        ("waiting", "Spells that the broker has not acknowledged yet."),
        ("unsaved", "Spells in memory that cannot be written at present."),
    ):
        spells = _family(f"history_{key}_spells", "gauge", text)
        spells.add(history[key])
        yield spells
    dropped = _family("history_dropped_spells", "counter", "Spells lost before they were delivered.")
    dropped.add(history["dropped"])
    yield dropped


def _mqtt(mqtt: Health | None) -> Iterator[Family]:
    if mqtt is None:
        return
    connected = _family("mqtt_connected", "gauge", "1 while there is a connection to the broker.")
    connected.add(mqtt["protocol"] is not None)
    yield connected
    for key, text in (
        ("connections", "Connections since the start."),
        ("dropped", "Messages not sent for want of a connection."),
        ("commands", "Commands carried out."),
        ("ignored", "Messages on command topics that were no command."),
    ):
        counter = _family(f"mqtt_{key}", "counter", text)
        counter.add(mqtt[key])
        yield counter

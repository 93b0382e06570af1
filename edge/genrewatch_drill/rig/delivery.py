"""Delivery of the outbox of a node whose daemon has ended, through its own sinks and without sources."""

import time
from pathlib import Path

from genrewatch.daemon.config import ListenConfig
from genrewatch.history.config import HistoryConfig
from genrewatch.history.database import database_path
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import open_pipeline
from genrewatch.sinks.history import HistorySink
from genrewatch.sinks.mqtt.sink import MqttConfig, MqttSink

PER_S = 500.0


def deliver_outbox(state: Path, node: str, url: str, *, within_s: float = 60.0) -> bool:
    """Publish what a node's outbox holds; return whether it is empty in time."""
    config = ListenConfig()
    manifest = open_pipeline(config.bundle_path, config.vote.apply, config.level).manifest
    persistent_state = PersistentState(state / f"memory-{node}.json")
    sources: list[str] = persistent_state.get(
        "sources", []
    )  # sources that are not named count as removed from the configuration
    names = {source: source for source in sources}
    mqtt = MqttSink(
        MqttConfig(url=url, discovery=False), node, manifest, names=names, persistent_state=persistent_state
    )
    history = HistorySink(
        database_path(state, node), node, HistoryConfig(backfill_per_s=PER_S), names=names, transport=mqtt.history
    )
    mqtt.history.on_change = history.wake
    history.start()
    mqtt.start(listening=False)
    deadline, empty = time.monotonic() + within_s, False
    while not empty and time.monotonic() < deadline:
        time.sleep(0.05)
        facts = history.diagnostics()["history"]
        empty = facts["head"] is not None and facts["waiting"] == 0
    history.flush()
    history.close()
    mqtt.close()
    persistent_state.close()
    return empty

"""Many nodes in one process; each is a daemon with its own sinks, id, connection and state directory.

    python -m genrewatch_drill.campaigns.fleet_node CONFIG.json

A process per node would mostly measure Python interpreters. The nodes share one model and one file of sound, which each
plays in real time from its own position. A line on standard input, or its end, stops all nodes; each then prints a
JSON line with the duration that it received.
"""

import itertools
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from genrewatch.audio.pcm import Block
from genrewatch.contract.decode import decode
from genrewatch.contract.front_end import Samples
from genrewatch.contract.vote import VoteConfig
from genrewatch.daemon.config import ListenConfig
from genrewatch.daemon.daemon import Daemon
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.history.config import HistoryConfig
from genrewatch.history.database import database_path
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import Pipeline, open_pipeline
from genrewatch.sinks.history import HistorySink
from genrewatch.sinks.mqtt.sink import MqttConfig, MqttSink
from genrewatch.sources.pacing import PacedSource
from genrewatch_drill.rig.sounds import RATE

SOURCE = "radio"
BLOCK = RATE // 2
STOPPED_AT_ONCE = 5


@dataclass(frozen=True, kw_only=True)
class FleetConfig:
    """The configuration of one process."""

    url: str
    """The address of the broker."""
    sound: str
    """A file of s16le at `RATE`, played in a loop."""
    nodes: tuple[str, ...]
    state: str
    """A directory with a state directory for each node."""
    vote_segments: int = 1
    health_s: float
    heartbeat_s: int = 20


class FleetNode:
    """One node of the fleet."""

    def __init__(self, name: str, fleet: FleetConfig, pipeline: Pipeline, sound: Samples, offset: int) -> None:
        self.name = name
        directory = Path(fleet.state) / name
        directory.mkdir(parents=True, exist_ok=True)
        self._persistent_state = PersistentState(directory / f"memory-{name}.json")
        source = PacedSource(SOURCE, lambda: _blocks(sound, offset), pace="real")
        names = {SOURCE: SOURCE}
        config = MqttConfig(
            url=fleet.url, votes=False, heartbeat_s=fleet.heartbeat_s, expire_after_s=4 * fleet.heartbeat_s
        )
        self._mqtt = MqttSink(
            config,
            name,
            pipeline.manifest,
            names=names,
            persistent_state=self._persistent_state,
            health_s=fleet.health_s,
        )
        history = HistorySink(
            database_path(directory, name), name, HistoryConfig(), names=names, transport=self._mqtt.history
        )
        self._mqtt.history.on_change = history.wake
        history.start()
        self.daemon = Daemon(
            [SourceSetup(source=source, pipeline=pipeline, name=SOURCE)],
            [history, self._mqtt],
            health_s=fleet.health_s,
            heartbeat_s=fleet.heartbeat_s,
            persistent_state=self._persistent_state,
        )
        self._thread = threading.Thread(target=self.daemon.run, name=name)

    def start(self) -> None:
        """Connect to the broker and start listening."""
        self._mqtt.start()
        self._thread.start()

    def stop(self) -> dict[str, Any]:
        """Stop as on SIGTERM; return the duration received."""
        self.daemon.stop()
        self._thread.join()
        self._persistent_state.close()
        health = self.daemon.health()["sources"][SOURCE]
        return {"node": self.name, "heard_s": health["heard_s"], "lost_s": health["lost_s"]}


def _blocks(sound: Samples, offset: int) -> Iterator[Block]:
    starts = [*range(offset, len(sound) - BLOCK, BLOCK), *range(0, offset, BLOCK)]
    for start in itertools.cycle(starts):
        yield Block(samples=sound[start : start + BLOCK], sample_rate=RATE)


def main(path: str) -> None:
    """Run the nodes of one process."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    fleet = decode(FleetConfig, json.loads(Path(path).read_text()), where=path)
    config = ListenConfig()
    pipeline = open_pipeline(config.bundle_path, config.vote.apply, config.level)
    vote = VoteConfig(segments=fleet.vote_segments, segment_hop=pipeline.vote.segment_hop)
    pipeline = replace(pipeline, vote=vote)
    sound: Samples = np.fromfile(fleet.sound, "<i2").astype(np.float32) / np.float32(32768)
    rng = np.random.default_rng(sum(map(ord, fleet.nodes[0])))
    nodes = [
        FleetNode(name, fleet, pipeline, sound, BLOCK * int(rng.integers(len(sound) // BLOCK))) for name in fleet.nodes
    ]
    for node in nodes:
        node.start()
        time.sleep(0.02)
    print("listening", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(STOPPED_AT_ONCE) as pool:
        for duration in pool.map(FleetNode.stop, nodes):
            print(json.dumps(duration), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

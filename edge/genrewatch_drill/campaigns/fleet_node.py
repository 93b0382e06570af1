"""Many nodes in one process: each is a daemon with sinks, an id, a connection and a state directory of its own.

    python -m genrewatch_drill.campaigns.fleet_node SETTING.json

As many processes as nodes would only measure interpreters. The nodes share one network and one stretch of sound, which
each plays in real time from a place of its own, through the pipeline that every source goes through. A line on
standard input, or its end, ends them all; a JSON line on standard output says what each of them heard.
"""

import itertools
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genrewatch.audio.pcm import Block
from genrewatch.contract.decode import decode
from genrewatch.contract.front_end import Samples
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
ENDING_AT_ONCE = 5


@dataclass(frozen=True, kw_only=True)
class FleetSetting:
    """What one process of the fleet is told."""

    url: str
    """Where the broker is."""
    sound: str
    """Raw s16le at `RATE`, played over and over."""
    nodes: tuple[str, ...]
    state: str
    """A directory, in which each node has one of its own."""
    vote_segments: int = 1
    health_s: float
    heartbeat_s: int = 20


class FleetNode:
    """One node."""

    def __init__(self, name: str, setting: FleetSetting, pipeline: Pipeline, sound: Samples, offset: int) -> None:
        self.name = name
        directory = Path(setting.state) / name
        directory.mkdir(parents=True, exist_ok=True)
        self._persistent_state = PersistentState(directory / f"memory-{name}.json")
        source = PacedSource(SOURCE, lambda: _blocks(sound, offset), pace="real")
        names = {SOURCE: SOURCE}
        config = MqttConfig(
            url=setting.url, votes=False, heartbeat_s=setting.heartbeat_s, expire_after_s=4 * setting.heartbeat_s
        )
        self._mqtt = MqttSink(
            config,
            name,
            pipeline.manifest,
            names=names,
            persistent_state=self._persistent_state,
            health_s=setting.health_s,
        )
        history = HistorySink(
            database_path(directory, name), name, HistoryConfig(), names=names, transport=self._mqtt.history
        )
        self._mqtt.history.on_change = history.wake
        history.start()
        self.daemon = Daemon(
            [SourceSetup(source=source, pipeline=pipeline, name=SOURCE)],
            [history, self._mqtt],
            health_s=setting.health_s,
            heartbeat_s=setting.heartbeat_s,
            persistent_state=self._persistent_state,
        )
        self._thread = threading.Thread(target=self.daemon.run, name=name)

    def start(self) -> None:
        """Listens from now on."""
        self._mqtt.start()
        self._thread.start()

    def end(self) -> dict[str, Any]:
        """Ends as SIGTERM would end it; what it heard."""
        self.daemon.stop()
        self._thread.join()
        self._persistent_state.close()
        heard = self.daemon.health()["sources"][SOURCE]
        return {"node": self.name, "heard_s": heard["heard_s"], "lost_s": heard["lost_s"]}


def _blocks(sound: Samples, offset: int) -> Iterator[Block]:
    starts = [*range(offset, len(sound) - BLOCK, BLOCK), *range(0, offset, BLOCK)]
    for start in itertools.cycle(starts):
        yield Block(samples=sound[start : start + BLOCK], sample_rate=RATE)


def main(path: str) -> None:
    """Runs the nodes of one process."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    setting = decode(FleetSetting, json.loads(Path(path).read_text()), where=path)
    config = ListenConfig()
    pipeline = open_pipeline(config.bundle_path, config.vote.apply, config.level)
    vote = {"segments": setting.vote_segments, "segment_hop": pipeline.vote.segment_hop}
    pipeline = Pipeline(**{**vars(pipeline), "vote": type(pipeline.vote)(**vote)})
    sound: Samples = np.fromfile(setting.sound, "<i2").astype(np.float32) / np.float32(32768)
    rng = np.random.default_rng(sum(map(ord, setting.nodes[0])))
    nodes = [
        FleetNode(name, setting, pipeline, sound, BLOCK * int(rng.integers(len(sound) // BLOCK)))
        for name in setting.nodes
    ]
    for node in nodes:
        node.start()
        time.sleep(0.02)
    print("listening", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(ENDING_AT_ONCE) as pool:
        for heard in pool.map(FleetNode.end, nodes):
            print(json.dumps(heard), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

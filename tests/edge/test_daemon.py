"""What the daemon knows of its sources, whatever becomes of them."""

import numpy as np

from edge.config import SHIPPED_BUNDLE
from edge.daemon import Daemon, Input
from edge.level import LevelConfig
from edge.pcm import Block
from edge.pipeline import open_listener
from edge.sinks.sink import Sink
from edge.sources import SourceCounts


class Gappy:
    """Half-second lives, two seconds lost before each."""

    id = "gappy"
    counts = SourceCounts()

    def blocks(self, events):
        for _ in range(10):
            yield Block(samples=np.ones(4000, np.float32), sample_rate=8000, lost=16_000)

    def waiting_s(self):
        return 0.0

    def close(self): ...


class Full(Sink):
    """A sink whose disk is full."""

    def publish_online(self, *said):
        raise OSError(28, "No space left on device")

    publish_stalled = publish_playing = publish_result = publish_health = publish_online


class Kept(Sink):
    """A sink that remembers."""

    def __init__(self):
        self.online, self.health = [], []

    def publish_online(self, source_id, online, why):
        self.online.append((online, why))

    def publish_health(self, health):
        self.health.append(health)


def run(*sinks):
    listener = open_listener(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())
    return Daemon([Input(source=Gappy(), listener=listener, name="gappy")], sinks, health_s=60, heartbeat_s=30).run()


def test_lost_sound_is_counted_though_no_segment_ever_completes():
    kept = Kept()
    assert run(kept) == 0
    said = kept.health[-1]["sources"]["gappy"]
    assert (said["online"], said["segments"], said["heard_s"], said["lost_s"]) == (False, 0, 5.0, 20.0)


def test_a_sink_that_fails_is_given_up_and_the_others_go_on(caplog):
    kept = Kept()
    assert run(Full(), kept) == 0
    assert kept.online[-1] == (False, "ended")
    assert [record.message for record in caplog.records] == ["Full is given up: No space left on device"]

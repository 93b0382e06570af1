"""What the daemon knows of its sources, whatever becomes of them."""

import numpy as np

from edge.config import SHIPPED_BUNDLE
from edge.daemon import Daemon
from edge.level import LevelConfig
from edge.pcm import Block
from edge.pipeline import open_listener


class Gappy:
    """Half-second lives, two seconds lost before each."""

    id = "gappy"

    def blocks(self, events):
        for _ in range(10):
            yield Block(samples=np.ones(4000, np.float32), sample_rate=8000, lost=16_000)

    def close(self): ...


class Full:
    """A sink whose disk is full."""

    def publish_online(self, *said):
        raise OSError(28, "No space left on device")

    publish_stalled = publish_result = publish_health = publish_online

    def close(self): ...


class Kept:
    """A sink that remembers."""

    def __init__(self):
        self.online, self.health = [], []

    def publish_online(self, source_id, online, why):
        self.online.append((online, why))

    def publish_stalled(self, source_id): ...

    def publish_result(self, source_id, result): ...

    def publish_health(self, health):
        self.health.append(health)

    def close(self): ...


def run(*sinks):
    listener = open_listener(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())
    return Daemon(listener, [Gappy()], sinks, health_s=60, heartbeat_s=30).run()


def test_lost_sound_is_counted_though_no_segment_ever_completes():
    kept = Kept()
    assert run(kept) == 0
    assert kept.health[-1]["sources"]["gappy"] == {"online": False, "segments": 0, "lost_s": 20.0}


def test_a_sink_that_fails_is_given_up_and_the_others_go_on(caplog):
    kept = Kept()
    assert run(Full(), kept) == 0
    assert kept.online[-1] == (False, "ended")
    assert [record.message for record in caplog.records] == ["Full is given up: No space left on device"]

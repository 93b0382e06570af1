"""The daemon and its sources: counters, failing sinks, switching."""

import threading
import time

import numpy as np

from genrewatch.audio.level import LevelConfig
from genrewatch.audio.pcm import Block
from genrewatch.daemon import source_runner
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.daemon.daemon import Daemon
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.inference.pipeline import open_pipeline
from genrewatch.sinks.sink import Sink
from genrewatch.sources.source import SourceCounts


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

    def on_availability(self, *said):
        raise OSError(28, "No space left on device")

    on_stalled = on_now_playing = on_result = on_health = on_availability


class Kept(Sink):
    """A sink that records its callbacks."""

    def __init__(self):
        self.online, self.health, self.off = [], [], []

    def on_availability(self, source_id, online, why):
        self.online.append((online, why))

    def on_disabled(self, source_id, off):
        self.off.append(off)

    def on_health(self, health):
        self.health.append(health)


def run(*sinks):
    pipeline = open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())
    return Daemon(
        [SourceSetup(source=Gappy(), pipeline=pipeline, name="gappy")], sinks, health_s=60, heartbeat_s=30
    ).run()


def test_lost_sound_is_counted_though_no_segment_ever_completes():
    kept = Kept()
    assert run(kept) == 0
    said = kept.health[-1]["sources"]["gappy"]
    assert (said["online"], said["segments"], said["heard_s"], said["lost_s"]) == (False, 0, 5.0, 20.0)


def test_what_a_sink_raises_is_logged_once_and_the_others_go_on(caplog):
    kept = Kept()
    assert run(Full(), kept) == 0
    assert kept.online[-1] == (False, "ended")
    assert kept.health[-1]["degraded"] == ["Full: a defect of genrewatch (OSError), see the log"]
    (record,) = caplog.records
    assert (record.message, record.exc_info[0]) == ("a defect in Full; the same one is not logged again", OSError)


class Stubborn:
    """A source whose last read takes as long as a test wants."""

    def __init__(self):
        self.id, self.counts, self.closed, self.ending = "slow", SourceCounts(), threading.Event(), threading.Event()

    def blocks(self, events):
        while not self.closed.wait(0.01):
            yield Block(samples=np.ones(800, np.float32), sample_rate=8000)
        self.ending.wait(60)

    def waiting_s(self):
        return 0.0

    def close(self):
        self.closed.set()


def test_a_source_that_has_not_ended_yet_stays_off_and_does_not_end_the_daemon(monkeypatch):
    monkeypatch.setattr(source_runner, "CLOSE_S", 0.1)
    source, kept = Stubborn(), Kept()
    pipeline = open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())
    heard = SourceSetup(source=source, pipeline=pipeline, name="slow", reopen=Stubborn)
    running = Daemon([heard], [kept], health_s=60, heartbeat_s=0.05)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    running.set_listening("slow", False)
    running.set_listening("slow", True)
    until(lambda: kept.off == [False, True, True])
    source.ending.set()
    until(lambda: kept.online == [(False, "switched off")])
    assert thread.is_alive()
    until(lambda: not running._sources.states["slow"].thread.is_alive())
    running.set_listening("slow", True)
    until(lambda: kept.off[-1] is False)
    running._sources.states["slow"].source.ending.set()
    running.stop()
    thread.join(60)
    assert not thread.is_alive()


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)

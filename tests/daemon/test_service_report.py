"""The daemon's reports to systemd: ready once something was tried, alive while listening makes progress."""

import queue
import threading
import time
from types import SimpleNamespace

import pytest
from tests.daemon.guard_rig import Kept, Playing, running, until

from genrewatch.daemon.service_report import status_text
from genrewatch.host import progress
from genrewatch.sinks.sink import Sink


class Manager:
    """A service manager that records the messages."""

    listens = True

    def __init__(self, watchdog_s=None):
        self.watchdog_s, self.messages = watchdog_s, queue.SimpleQueue()
        self.lives, self.ready_at = 0, None

    def ready(self):
        self.messages.put("ready")
        self.ready_at = time.monotonic()

    def alive(self):
        self.lives += 1

    def stopping(self):
        self.messages.put("stopping")

    def status(self, text):
        self.newest = text


class NotYet(Sink):
    """A sink that has not tried to reach its broker yet."""

    done = False

    @property
    def tried(self):
        return self.done


class Absent(Playing):
    """A source without sound."""

    def blocks(self, events):
        events.on_source_offline(self.id, "no such microphone")
        self._closed.wait()
        yield from ()


@pytest.mark.parametrize("source", [Playing, Absent])
def test_it_is_ready_when_a_source_and_the_broker_have_been_tried(source):
    manager, broker = Manager(), NotYet()
    with running(source("a"), sinks=[broker], service_manager=manager):
        until(lambda: manager.lives > 2)
        assert manager.messages.empty()
        broker.done = True
        assert manager.messages.get(timeout=10) == "ready"
    assert manager.messages.get(timeout=10) == "stopping"
    assert manager.messages.empty()


def test_silence_and_an_absent_source_feed_the_watchdog():
    manager = Manager(watchdog_s=0.3)
    with running(Absent("a"), sinks=[], service_manager=manager, heartbeat_s=60):
        manager.messages.get(timeout=10)
        before = manager.lives
        until(lambda: manager.lives > before + 3)


def test_a_source_whose_thread_is_stuck_feeds_it_no_longer(monkeypatch):
    release = threading.Event()

    class Wedged(Sink):
        def on_result(self, source_id, result):
            release.wait()

    manager, source = Manager(watchdog_s=0.3), Playing("a")
    with running(source, sinks=[Kept(), Wedged()], service_manager=manager) as run:
        state = run.daemon._sources.states["a"]
        until(lambda: state.thread is not None and source.played > 5)
        monkeypatch.setattr(state.thread.progress, "_stuck_s", 0.2)
        until(lambda: state.thread.stuck)
        before = manager.lives
        time.sleep(0.5)
        assert manager.lives == before
        release.set()
        until(lambda: manager.lives > before)


def test_the_status_names_what_plays_and_what_does_not_work():
    rock = SimpleNamespace(verdict=SimpleNamespace(genre="rock", reason="majority"))
    unsure = SimpleNamespace(verdict=SimpleNamespace(genre=None, reason="warming_up"))
    states = {
        "bar": SimpleNamespace(online=True, newest=rock),
        "hall": SimpleNamespace(online=True, newest=unsure),
        "roof": SimpleNamespace(online=False, offline_reason="no such microphone"),
    }
    health = {"mqtt": {"protocol": None}, "degraded": ["history: the disk is full"]}
    expected = "bar: rock, hall: warming up, roof: no sound (no such microphone); no broker; history: the disk is full"
    assert status_text(states, health) == expected
    assert status_text(dict.fromkeys(map(str, range(20)), states["bar"]), {}).endswith("12 more")
    assert progress.STUCK_S < 90

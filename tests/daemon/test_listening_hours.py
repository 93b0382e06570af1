"""Sources are switched off outside their listening hours, and a command in between holds."""

import threading
import time
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from genrewatch.audio.level import LevelConfig
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.daemon.daemon import Daemon
from genrewatch.daemon.listening_hours import ListeningHours
from genrewatch.daemon.source_runner import DISABLED_KEY
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import open_pipeline
from genrewatch.sinks.sink import Sink
from genrewatch.sources.kinds import open_sources
from genrewatch.sources.uri import SourceConfig

HOURS = {"radio": ["08:00-18:00"]}


class Runner:
    """The part of a `SourceRunner` that hours switch."""

    def __init__(self, *, obeys: bool = True) -> None:
        self.commands: list[tuple[str, bool]] = []
        self.obeys = obeys
        self.states = {"radio": SimpleNamespace(disabled=False), "mic": SimpleNamespace(disabled=False)}

    def set_listening(self, source_id: str, on: bool) -> None:
        self.commands.append((source_id, on))
        if self.obeys:
            self.states[source_id].disabled = not on


class Clock:
    hour = 12

    def __call__(self) -> datetime:
        return datetime(2026, 11, 23, self.hour)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_source_is_switched_at_the_ends_of_its_hours_only(clock: Clock) -> None:
    runner: Any = Runner()
    hours = ListeningHours(HOURS, PersistentState(None), clock)
    for clock.hour in (8, 12, 17, 18, 23, 2, 8, 9):
        hours.apply(runner)
    assert runner.commands == [("radio", False), ("radio", True)]


def test_a_command_in_between_holds_until_the_hours_change(clock: Clock) -> None:
    runner: Any = Runner()
    hours = ListeningHours(HOURS, PersistentState(None), clock)
    clock.hour = 20
    hours.apply(runner)
    runner.states["radio"].disabled = False  # switched on by hand
    hours.apply(runner)
    assert not runner.states["radio"].disabled
    clock.hour = 9
    hours.apply(runner)
    clock.hour = 19
    hours.apply(runner)
    assert runner.states["radio"].disabled


def test_what_cannot_be_switched_is_tried_again(clock: Clock) -> None:
    runner: Any = Runner(obeys=False)
    hours = ListeningHours(HOURS, PersistentState(None), clock)
    clock.hour = 20
    hours.apply(runner)
    hours.apply(runner)
    assert runner.commands == [("radio", False)] * 2


@pytest.mark.parametrize(
    ("before", "hour", "disabled"),
    [
        ({}, 12, []),
        ({}, 20, ["radio"]),
        ({DISABLED_KEY: ["mic"]}, 20, ["mic", "radio"]),
        ({DISABLED_KEY: ["radio"]}, 12, ["radio"]),  # by a command
        ({DISABLED_KEY: ["radio"], "listening_hours": {"radio": False}}, 12, []),  # by the hours, which began meanwhile
        ({DISABLED_KEY: [], "listening_hours": {"radio": False}}, 20, []),  # switched on by hand in the evening
        ({DISABLED_KEY: ["mic", "old"], "listening_hours": {"mic": False}}, 12, ["old"]),  # has no hours any more
    ],
)
def test_at_the_start_the_hours_decide_unless_a_command_came_after_them(
    clock: Clock, before: dict[str, Any], hour: int, disabled: list[str]
) -> None:
    state = PersistentState(None)
    for key, value in before.items():
        state.put(key, value)
    clock.hour = hour
    ListeningHours(HOURS, state, clock).prepare()
    assert state.get(DISABLED_KEY, list[str]()) == disabled


class Switches(Sink):
    """Records which way the sources are switched."""

    def __init__(self) -> None:
        self.disabled: list[bool] = []

    def on_disabled(self, source_id: str, disabled: bool) -> None:
        self.disabled.append(disabled)


def test_the_daemon_starts_a_source_switched_off_and_switches_it_when_its_hours_begin_and_end(clock: Clock) -> None:
    sink, clock.hour = Switches(), 20
    pipeline = open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())
    (source,) = open_sources([SourceConfig(uri="demo:", id="radio")])
    setup = SourceSetup(
        source=source,
        pipeline=pipeline,
        name="Radio",
        reopen=lambda: open_sources([SourceConfig(uri="demo:", id="radio")])[0],
    )
    state = PersistentState(None)
    daemon = Daemon([setup], [sink], health_s=60, heartbeat_s=30, persistent_state=state)
    daemon._hours = ListeningHours(HOURS, state, clock)
    thread = threading.Thread(target=daemon.run, daemon=True)
    thread.start()
    for clock.hour, count in ((20, 1), (9, 2), (19, 3)):
        daemon.publish_health()  # a turn of the main loop
        deadline = time.monotonic() + 20
        while len(sink.disabled) < count:
            assert time.monotonic() < deadline, sink.disabled
            time.sleep(0.01)
    daemon.stop()
    thread.join(10)
    assert sink.disabled == [True, False, True]

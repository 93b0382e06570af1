"""A hook's conditions: hours, sources, duration, cool-down and quiet hours."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from tests.sinks.mqtt_rig import JAZZ, ROCK, SILENCE

from genrewatch.sinks.events import Event, sample_event
from genrewatch.sinks.hooks.conditions import Conditions
from genrewatch.sinks.hooks.sink import HookConfig, HookSink

ON = ("genre_changed", "dead_air", "sound_returned", "stalled", "resumed")


class Hook:
    """Conditions under a clock that a test turns by hand."""

    def __init__(self, quiet_hours: dict[str, list[str]] | None = None, **settings: Any) -> None:
        self.got: list[tuple[str, str]] = []
        self.now_s, self.local = 0.0, datetime(2026, 11, 23, 12, 0)
        self.conditions = Conditions(
            HookConfig(**{"on": ON, "command": "true", **settings}),
            lambda event, body: self.got.append((event.source, event.type)),
            quiet_hours=quiet_hours or {},
            local_time=lambda: self.local,
            monotonic=lambda: self.now_s,
        )

    def add(self, *types: str, source: str = "radio") -> None:
        for type_ in types:
            self.conditions.add(event(type_, source), b"")

    def after(self, seconds: float) -> None:
        self.now_s += seconds
        self.conditions.release()

    @property
    def types(self) -> list[str]:
        return [type_ for _, type_ in self.got]


def event(type_: Any, source: str) -> Event:
    return replace(sample_event(source), type=type_)


def test_without_conditions_everything_of_on_passes_at_once() -> None:
    hook = Hook(on=("dead_air", "stalled"))
    hook.add("dead_air", "sound_returned", "stalled", "test")
    assert hook.types == ["dead_air", "stalled", "test"]
    assert hook.conditions.suppressed == 0


def test_hours_of_the_hook_and_quiet_hours_of_the_source() -> None:
    hook = Hook({"radio": ["12:00-13:00"]}, hours=("08:00-18:00",))
    hook.add("stalled")
    hook.add("stalled", source="mic")
    hook.local = hook.local.replace(hour=20)
    hook.add("genre_changed", source="mic")
    hook.local = hook.local.replace(hour=14)
    hook.add("dead_air")
    assert hook.got == [("mic", "stalled"), ("radio", "dead_air")]
    assert hook.conditions.suppressed == 2


def test_a_test_event_passes_whatever_the_conditions() -> None:
    hook = Hook(hours=("08:00-09:00",), sources=("radio",))
    hook.add("test")
    hook.add("test", source="mic")
    assert hook.got == [("radio", "test")]


def test_an_event_that_does_not_last_is_dropped_with_its_end() -> None:
    hook = Hook(min_duration_s=60.0)
    hook.add("dead_air")
    hook.after(59)
    hook.add("sound_returned")
    hook.after(60)
    assert hook.got == []
    assert hook.conditions.suppressed == 2
    hook.add("dead_air")
    hook.after(60)
    hook.add("sound_returned")
    assert hook.types == ["dead_air", "sound_returned"]


def test_a_genre_must_last_too_and_the_next_change_replaces_it() -> None:
    hook = Hook(min_duration_s=30.0)
    hook.add("genre_changed")
    hook.after(20)
    hook.add("genre_changed")
    hook.after(20)
    assert hook.got == []
    hook.after(10)
    assert hook.types == ["genre_changed"]


def test_the_cool_down_holds_for_each_event_of_each_source_and_for_its_end() -> None:
    hook = Hook(cooldown_s=600.0)
    hook.add("stalled", "resumed", "stalled", "resumed", "dead_air")
    hook.add("stalled", source="mic")
    assert hook.types == ["stalled", "resumed", "dead_air", "stalled"]
    hook.after(601)
    hook.add("stalled")
    assert len(hook.got) == 5


def test_a_source_that_is_switched_off_leaves_nothing_waiting() -> None:
    hook = Hook(min_duration_s=60.0)
    hook.add("dead_air")
    hook.conditions.forget("radio")
    hook.after(100)
    assert hook.got == []


@pytest.mark.parametrize("tick", ["result", "stalled", "health"])
def test_the_sink_passes_on_what_has_lasted_with_any_callback(tick: str) -> None:
    clock = [0.0]
    hooks = [HookConfig(on=("dead_air",), command="true", min_duration_s=60.0)]
    sink = HookSink(hooks, node="box", names={"radio": "R", "mic": "M"}, monotonic=lambda: clock[0])
    try:
        sink.on_result("radio", JAZZ)
        sink.on_result("radio", replace(SILENCE, dead_air=True))
        clock[0] = 61.0
        assert not sink._conditions[0]._ran
        {
            "result": lambda: sink.on_result("mic", ROCK),
            "stalled": lambda: sink.on_stalled("mic"),
            "health": lambda: sink.on_health({}),
        }[tick]()
        assert set(sink._conditions[0]._ran) == {("radio", "dead_air")}
        assert sink.health()["0"]["suppressed"] == 0
    finally:
        sink.close()

"""Settings that commands change: applied from the next segment on, kept, and checked."""

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from genrewatch.audio.level import LevelConfig
from genrewatch.audio.pcm import Block
from genrewatch.contract.errors import ConfigError
from genrewatch.contract.vote import VoteConfig
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.daemon.daemon import Daemon
from genrewatch.daemon.source_settings import SETTINGS_KEY, SourceSettings
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import Pipeline, open_pipeline
from genrewatch.inference.settings import RANGES, SETTING_KEYS, parse_setting, settings_of
from genrewatch.sinks.sink import Sink
from genrewatch.sources.source import SourceCounts


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("segments", "15", 15),
        ("segments", "15.0", 15),
        ("segments", "1001", None),
        ("segments", "1e0", 1),
        ("silence_dbfs", "-50.5", -50.5),
        ("silence_dbfs", "0", None),
        ("silence_dbfs", "inf", None),
        ("filter", "hmm", "hmm"),
        ("filter", "", None),
        ("expected_duration_s", "60", 60.0),
        ("segment_weight", "0", None),
        ("min_share", "0.5", None),
        ("segments", "9" * 300, None),
    ],
)
def test_a_value_is_read_within_its_limits(key: str, text: str, value: object) -> None:
    assert parse_setting(key, text) == value


@pytest.mark.parametrize("key", RANGES)
def test_the_limits_are_those_of_the_configuration(key: str) -> None:
    limits = RANGES[key]
    for value in (limits.low, limits.high):
        assert parse_setting(key, f"{value:g}") == value
        config: LevelConfig | VoteConfig = (
            LevelConfig(silence_dbfs=value)
            if key == "silence_dbfs"
            else replace(VoteConfig(segment_hop=1), **{key: value})
        )
        assert getattr(config, key) == value
        beyond = value + (limits.step if value == limits.high else -limits.step)
        assert parse_setting(key, f"{beyond:g}") is None
        with pytest.raises(ConfigError):
            replace(config, **{key: beyond})


def test_changed_settings_are_kept_and_stand_over_the_configuration(pipeline: Pipeline) -> None:
    state = PersistentState(None)
    settings = SourceSettings(SETTING_KEYS, state)
    changed = settings.change("mic", "segments", 15, pipeline)
    changed = settings.change("mic", "silence_dbfs", -50.0, changed)
    assert (changed.vote.segments, changed.level.silence_dbfs) == (15, -50.0)
    assert state.get(SETTINGS_KEY, dict[str, Any]()) == {"mic": {"segments": 15, "silence_dbfs": -50.0}}
    again = SourceSettings(["segments"], state)
    assert settings_of(again.apply("mic", pipeline)) == {**settings_of(pipeline), "segments": 15}
    assert again.apply("radio", pipeline) == pipeline
    assert again.shown(changed) == {"segments": 15}


def test_a_kept_value_that_is_none_is_left_out(pipeline: Pipeline) -> None:
    state = PersistentState(None)
    state.put(SETTINGS_KEY, {"mic": {"segments": "many", "filter": "hmm", "other": 1}})
    found = SourceSettings(SETTING_KEYS, state).apply("mic", pipeline)
    assert (found.vote.segments, found.vote.filter) == (pipeline.vote.segments, "hmm")


class Endless:
    """Noise until it is closed."""

    id = "mic"
    counts = SourceCounts()

    def __init__(self) -> None:
        self.closed = threading.Event()

    def blocks(self, events: object) -> Any:
        rng = np.random.default_rng(0)
        while not self.closed.is_set():
            yield Block(samples=rng.normal(0, 0.1, 22_050).astype(np.float32), sample_rate=22_050)
            time.sleep(0.01)

    def waiting_s(self) -> float:
        return 0.0

    def close(self) -> None:
        self.closed.set()


class Recorder(Sink):
    """Records the settings, and the T of each stream."""

    def __init__(self) -> None:
        self.settings: list[dict[str, object]] = []
        self.segments: list[int] = []

    def on_settings(self, source_id: str, settings: Any) -> None:
        self.settings.append(dict(settings))

    def on_stream(self, source_id: str, pipeline: Pipeline) -> None:
        self.segments.append(pipeline.vote.segments)


@pytest.mark.parametrize("kept", [None, 15])
def test_the_daemon_uses_a_setting_from_the_next_segment_on_and_after_a_restart(
    pipeline: Pipeline, kept: int | None
) -> None:
    sink, state = Recorder(), PersistentState(None)
    if kept is not None:
        state.put(SETTINGS_KEY, {"mic": {"segments": kept}})
    quick = replace(pipeline, vote=replace(pipeline.vote, segments=9))
    setup = SourceSetup(source=Endless(), pipeline=quick, name="mic")  # type: ignore[arg-type]
    daemon = Daemon([setup], [sink], health_s=60, heartbeat_s=30, settable=["segments"], persistent_state=state)
    thread = threading.Thread(target=daemon.run, daemon=True)
    thread.start()
    wait_until(lambda: len(sink.segments) == 1)
    daemon.set_setting("mic", "segments", 21)
    wait_until(lambda: sink.segments == [kept or 9, 21] and len(sink.settings) == 2)
    daemon.stop()
    thread.join(10)
    assert sink.settings == [{"segments": kept or 9}, {"segments": 21}]


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.01)

"""Channels that cancel or are dead, and narrow bands: in health and once in the log."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from tests.sinks.mqtt_rig import ROCK

from genrewatch.audio.level import LevelConfig
from genrewatch.audio.mix import Mix
from genrewatch.audio.pcm import Block
from genrewatch.daemon.narrow_bands import NarrowBands, kept_problems
from genrewatch.daemon.source_state import SourceState, mix_problem
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import Pipeline, open_pipeline
from genrewatch.sources.source import Source

GOOD = Mix(channels=2, phase="ok", dead=(), used=(0, 1))
CANCELLED = Mix(channels=2, phase="antiphase", dead=(), used=(1,))
DEAD = Mix(channels=2, phase="ok", dead=(0,), used=(1,))


class NamedSource:
    id = "line"


def test_a_finding_is_logged_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    state = SourceState(source=cast(Source, NamedSource()), pipeline=cast(Pipeline, None), reopen=None)
    sound = np.zeros(10, np.float32)
    blocks = [Block(samples=sound, sample_rate=8_000, mix=mix) for mix in (GOOD, CANCELLED, CANCELLED, GOOD)]
    with caplog.at_level(logging.WARNING):
        assert len(list(state.counted(blocks))) == 4
    assert [record.message.split(",")[0] for record in caplog.records] == [
        "line: the channels cancel each other (antiphase)",
        "line: the channels are in order again",
    ]


def test_a_narrow_band_is_logged_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())
    state = SourceState(source=cast(Source, NamedSource()), pipeline=pipeline, reopen=None)
    with caplog.at_level(logging.WARNING):
        for hz in (None, 9_900, 11_025, 4_000, 4_100, 11_025, 11_025):
            state.take(replace(ROCK, bandwidth_hz=hz))
    assert [record.message.split(",")[0] for record in caplog.records] == [
        "line: no sound above 4000 Hz",
        "line: the whole band carries sound again",
    ]
    assert state.segments == 7


def test_a_narrow_band_is_kept_until_the_source_carries_the_whole_band(tmp_path: Path) -> None:
    def keep(*heard: int | None) -> list[str]:
        """Start again with measured bandwidths, and return what is kept."""
        state = SourceState(source=cast(Source, NamedSource()), pipeline=pipeline, reopen=None)
        bands = NarrowBands(lambda: {"line": state}, PersistentState(tmp_path / "memory-box.json"))
        for hz in heard:
            state.take(replace(ROCK, bandwidth_hz=hz))
            bands.keep()
        return [line.split(",")[0] for line in kept_problems(tmp_path)]

    pipeline = open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())
    assert keep(None) == []
    assert keep(None, 4_000) == ["line: no sound above 4000 Hz"]
    assert keep(None) == ["line: no sound above 4000 Hz"]  # not measured yet
    assert keep(11_025) == []


def test_a_problem_names_the_channel() -> None:
    assert mix_problem(GOOD) is None
    assert mix_problem(None) is None
    assert "channel 2 is used" in str(mix_problem(CANCELLED))
    assert "channel 1 of 2 is dead" in str(mix_problem(DEAD))

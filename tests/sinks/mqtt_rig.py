"""Segments as the pipeline would hand them over, and a sink that is quick to reconnect."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from genrewatch.audio.level import Level
from genrewatch.audio.mix import Mix
from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.vote import Ballot, Verdict
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.host.backoff import Backoff
from genrewatch.inference.pipeline import SegmentResult
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.connection import Reconnect
from genrewatch.sinks.mqtt.sink import MqttSink

LABELS = ("blues", "jazz", "rock", "neue Volksmusik é")
SAMPLE_RATE = 22_050
SHIPPED = load_bundle(SHIPPED_BUNDLE).manifest
MODEL = replace(
    SHIPPED,
    name="net",
    version="1.2.0",
    labels=LABELS,
    output=replace(SHIPPED.output, shape=(1, len(LABELS))),
)
"""A model whose verdict is rock."""
QUICK = Reconnect(unreachable=Backoff(first_s=0.05, max_s=0.2), refused=Backoff(first_s=0.05, max_s=0.2))

ROCK = SegmentResult(
    start=SAMPLE_RATE,
    end=8 * SAMPLE_RATE,
    sample_rate=SAMPLE_RATE,
    ballot=Ballot(label="rock", posterior=np.array([0.1, 0.2, 0.65, 0.05], np.float32)),
    verdict=Verdict(
        genre="rock", reason="majority", share=7 / 9, confidence=0.64321, votes={"rock": 7, "jazz": 2}, segments=9
    ),
    level=Level(dbfs=-18.26, peak_dbfs=-3.14, clipped=0.00012, dc=-0.00123),
    dead_air=False,
    bandwidth_hz=8000,
    mix=Mix(channels=2, phase="antiphase", dead=(), used=(0,)),
    lost=0,
    hop_factor=1,
)
JAZZ = replace(ROCK, verdict=replace(ROCK.verdict, genre="jazz"))
SILENCE = replace(
    ROCK,
    ballot=Ballot(label="silence", posterior=None),
    verdict=Verdict(genre=None, reason="silence", share=1.0, confidence=None, votes={"silence": 9}, segments=9),
    level=Level(dbfs=None, peak_dbfs=None, clipped=0.0, dc=0.0),
)

SOURCE_HEALTH: dict[str, Any] = {
    "online": True,
    "off": False,
    "why": None,
    "segments": 40,
    "heard_s": 81.5,
    "lost_s": 0.5,
    "lost": {"overflow": 0.5},
    "restarts": 1,
    "waiting_s": 0.0,
    "hop_factor": 1,
}
"""Diagnostics of a source, as health holds them."""


@contextmanager
def running_sink(url: str, *, settings: dict[str, Any] | None = None, **arguments: Any) -> Iterator[MqttSink]:
    """A started sink of node `box` for the broker at `url`, closed at the end; silent towards Home Assistant unless
    `settings` want it otherwise."""
    config = MqttConfig(url=url, **{"discovery": False, **(settings or {})})
    sink = MqttSink(config, "box", MODEL, **{"reconnect": QUICK, **arguments})
    sink.start()
    try:
        yield sink
    finally:
        sink.close()

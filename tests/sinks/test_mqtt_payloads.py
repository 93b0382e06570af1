"""Example payloads of each topic, valid by the published schemas, for the tests of what reads them."""

import json
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from tests.sinks.mqtt_rig import MODEL, ROCK, SILENCE
from tests.sinks.test_schemas import HEALTH

from genrewatch.sinks.events import EventDetector
from genrewatch.sinks.mqtt.payload import Payloads, sound_fields
from genrewatch.sources.source import NowPlaying

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
PAYLOADS = Payloads(node="box", top_k=3, names={"mic": "Microphone"}, clock=lambda: NOON)


def schema(name: str) -> dict[str, Any]:
    text = (files("genrewatch") / "schema" / f"{name}.schema.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _state(result: Any, title: str | None) -> Any:
    ts = PAYLOADS.stamp()
    playing = NowPlaying(station="Jazz FM", title=title)
    return json.loads(PAYLOADS.state("mic", 1, sound_fields(result), playing, MODEL, ts=ts, since=ts))


EXAMPLES: dict[str, list[Any]] = {
    "state": [_state(ROCK, "So What"), _state(SILENCE, None)],
    "event": [json.loads(PAYLOADS.event(event, MODEL)) for event in EventDetector().result("mic", ROCK)],
    "votes": [json.loads(PAYLOADS.votes("mic", result, MODEL.labels)) for result in (ROCK, SILENCE)],
    "health": [HEALTH],
    "availability": ["offline", "online"],
    "status": ["offline", "online"],
}
"""Payloads by the last level of their topic."""


@pytest.mark.parametrize("name", ["state", "event", "votes", "health"])
def test_the_examples_are_valid(name: str) -> None:
    assert EXAMPLES[name]
    for payload in EXAMPLES[name]:
        jsonschema.validate(payload, schema(name))

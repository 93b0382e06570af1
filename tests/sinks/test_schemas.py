"""The published schemas: payloads match them, and they refuse what is wrong, also to Home Assistant."""

import copy
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from tests.sinks.mqtt_rig import JAZZ, LABELS, ROCK, SILENCE, SOURCE_HEALTH

from genrewatch.sinks.events import EVENT_TYPES, EventDetector, event_payload
from genrewatch.sinks.mqtt.home_assistant import Device, discovery, source_components
from genrewatch.sinks.mqtt.payload import Payloads

NAMES = ("state", "event", "votes", "history", "correction", "health", "discovery")
ABSENT = object()
PAYLOADS = Payloads(node="box", top_k=3, names={})
HISTORY: dict[str, Any] = {
    "v": 1,
    "node": "box",
    "source": "mic",
    "name": "Microphone",
    "seq": 1,
    "genre": "rock",
    "reason": "majority",
    "dead_air": False,
    "confidence": 0.61,
    "share": 0.8,
    "votes": {"rock": 20, "jazz": 2},
    "segments": 22,
    "start": "2026-11-22T12:00:00.000Z",
    "end": "2026-11-22T12:00:41.250Z",
    "start_s": 0.0,
    "end_s": 41.25,
    "heard_s": 40.0,
    "lost_s": 1.25,
    "continues": False,
    "interrupted": False,
    "run": "3f2a",
    "mono_start_s": 1200.5,
    "mono_end_s": 1241.75,
    "clock_step_s": -3600.0,
    "model": "net",
    "version": "1.2.0",
    "prev": "0" * 64,
    "hash": "9f" * 32,
    "backfilled": True,
}
HEALTH: dict[str, Any] = {
    "lines_dropped": {"stdout": 0, "stderr": 12},
    "v": 1,
    "node": "box",
    "ts": "2026-11-22T12:00:00.123Z",
    "version": "0.1.0",
    "model": {"name": "net", "version": "1.2.0"},
    "bundle_refused": None,
    "uptime_s": 90.1,
    "started": "2026-11-22T11:58:30.000Z",
    "cpu_s": 3.2,
    "real_time_factor": 25.5,
    "peak_rss_mb": 80.0,
    "cpu_temperature_c": None,
    "written_mb": 2.5,
    "segments": 40,
    "lost_s": 0.5,
    "degraded": ["history: the disk is full"],
    "history": {"stored": 3, "waiting": 1, "unsaved": 0, "dropped": 0, "head": "0a" * 32, "set_aside": None},
    "hooks": {"0": {"ran": 3, "failed": 1, "dropped": 0, "last_error": "exit code 1"}},
    "sources": {"mic": SOURCE_HEALTH},
    "mqtt": {"protocol": "5", "connections": 1, "dropped": 0, "commands": 2, "ignored": 0},
}
DEVICE = Device(
    node="box",
    root="genrewatch/box",
    name="Box",
    labels=LABELS,
    sources={"mic": "Microphone"},
    version="1",
    expire_after_s=120,
    health_expire_s=90,
)
DISCOVERY = discovery(DEVICE)
DISCOVERY["components"] |= source_components(DEVICE, "mic")


def schema(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (files("genrewatch") / "schema" / f"{name}.schema.json").read_text(encoding="utf-8")
    )
    return content


def valid(name: str, payload: object) -> bool:
    return jsonschema.Draft202012Validator(schema(name)).is_valid(payload)


def changed(payload: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with the value at `a/b/c` replaced, or taken out."""
    made = copy.deepcopy(dict(payload))
    *above, last = path.split("/")
    place = made
    for level in above:
        place = place[level]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return made


@pytest.mark.parametrize("name", NAMES)
def test_each_schema_is_valid_and_has_a_description(name: str) -> None:
    content = schema(name)
    jsonschema.Draft202012Validator.check_schema(content)
    assert content["$id"] == f"genrewatch/{name}/1"
    assert "payload of <" in content["description"]
    assert set(content["required"]) <= set(content["properties"])


def test_there_is_no_schema_that_no_test_knows() -> None:
    found = {path.name.removesuffix(".schema.json") for path in (files("genrewatch") / "schema").iterdir()}
    assert found == set(NAMES)


@pytest.mark.parametrize("result", [ROCK, SILENCE])
def test_votes_match_their_schema_in_every_field(result: Any) -> None:
    votes = json.loads(PAYLOADS.votes("mic", result, LABELS))
    jsonschema.validate(votes, schema("votes"))
    assert set(votes) == set(schema("votes")["required"]) == set(schema("votes")["properties"])


def test_every_event_matches_its_schema_in_every_field() -> None:
    detector = EventDetector()
    events = [*detector.result("mic", ROCK), *detector.result("mic", JAZZ), *detector.stalled("mic")]
    events += detector.result("mic", SILENCE)
    assert [event.type for event in events] == ["genre_changed", "genre_changed", "stalled", "resumed"]
    for event in events:
        body = json.loads(
            event_payload(event, node="box", name="Mic", ts=PAYLOADS.stamp(), model="net", version="1.2.0")
        )
        jsonschema.validate(body, schema("event"))
        assert set(body) == set(schema("event")["required"]) == set(schema("event")["properties"])
    assert tuple(schema("event")["properties"]["event_type"]["enum"]) == EVENT_TYPES


def test_a_spell_and_health_match_their_schemas_and_may_have_more_fields() -> None:
    for name, payload in (("history", HISTORY), ("health", HEALTH)):
        assert set(payload) == set(schema(name)["properties"])
        jsonschema.validate(payload, schema(name))
        jsonschema.validate({**payload, "new_field": 1}, schema(name))


def test_a_health_payload_matches_the_schema() -> None:
    body = {key: value for key, value in HEALTH.items() if key not in ("v", "node", "ts")}
    jsonschema.validate(json.loads(PAYLOADS.health(body)), schema("health"))


@pytest.mark.parametrize("name", ["history", "health"])
def test_no_field_can_be_left_out_but_those_of_what_a_box_may_do_without(name: str) -> None:
    payload = HISTORY if name == "history" else HEALTH
    optional = {"history", "hooks", "bundle_refused", "lines_dropped"} if name == "health" else set()
    assert {key for key in payload if valid(name, changed(payload, key, ABSENT))} == optional


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("history", "seq", 0),
        ("history", "seq", "1"),
        ("history", "seq", 1.5),
        ("history", "genre", None),  # of a majority
        ("history", "reason", "held"),
        ("history", "reason", "refused"),  # with a genre
        ("history", "dead_air", None),
        ("history", "share", 1.1),
        ("history", "votes/rock", 0),
        ("history", "start", "2026-11-22T12:00:00.000+00:00"),
        ("history", "start", "2026-11-22 12:00:00.000Z"),
        ("history", "heard_s", -1),
        ("history", "hash", "9F" * 32),
        ("history", "prev", None),
        ("history", "backfilled", "yes"),
        ("health", "degraded", "the disk is full"),
        ("health", "degraded", None),
        ("health", "cpu_temperature_c", "51.4"),
        ("health", "model/version", ABSENT),
        ("health", "history/waiting", None),
        ("health", "history/head", "none"),
        ("health", "mqtt/protocol", 5),
        ("health", "sources/mic/online", None),
        ("health", "sources/mic/lost/overflow", None),
        ("health", "sources/mic/hop_factor", 0),
    ],
)
def test_a_wrong_value_is_refused(name: str, path: str, value: object) -> None:
    assert not valid(name, changed(HISTORY if name == "history" else HEALTH, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("device", ABSENT),
        ("device/identifiers", []),
        ("device/sw_ver", "1"),
        ("origin", ABSENT),
        ("origin/name", ABSENT),
        ("origin/support_url", "genrewatch"),
        ("componets", {}),
        ("components", ABSENT),
        ("components/mic.genre/platform", ABSENT),
        ("components/mic.genre/platform", "sensors"),
        ("components/mic.genre/unique_id", ABSENT),
        ("components/mic.genre/unique_id", ["x"]),
        ("components/mic.genre/state_topic", ABSENT),
        ("components/mic.genre/state_topic", "a/b+c"),
        ("components/mic.genre/state_topic", ""),
        ("components/mic.genre/unit_of_measurement", "%"),
        ("components/mic.genre/state_class", "measurement"),
        ("components/mic.genre/options", []),
        ("components/mic.level/options", ["a"]),
        ("components/mic.level/device_class", "loudness"),
        ("components/mic.level/state_class", "average"),
        ("components/mic.level/expire_after", -1),
        ("components/mic.level/expire_after", "soon"),
        ("components/mic.level/qos", 3),
        ("components/mic.level/icon", "volume"),
        ("components/mic.level/availability", [{}]),
        ("components/mic.level/availability_mode", "both"),
        ("components/mic.level/value_template", None),
        ("components/mic.dead_air/device_class", "silence"),
        ("components/uptime/entity_category", "diagnostics"),
        ("components/mic.event/event_types", ABSENT),
        ("components/mic.listen/command_topic", ABSENT),
        ("components/mic.listen/command_topic", "a/#"),
    ],
)
def test_a_discovery_that_home_assistant_refuses_is_refused(path: str, value: object) -> None:
    assert valid("discovery", DISCOVERY)
    assert not valid("discovery", changed(DISCOVERY, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("components/mic.genre/options", ["rock", "unknown"]),  # reserved
        ("components/mic.level/unit_of_measurment", "dB"),  # Home Assistant ignores what it does not know
        ("components/mic.level/object_id", "level"),  # gone since 2026.4
        ("components/mic.level/default_entity_id", "level"),  # without its domain
        ("components/uptime/unit_of_measurement", "dBFS"),  # only warned of
        ("components/mic.level/expire_after", ABSENT),
    ],
)
def test_a_discovery_that_home_assistant_takes_but_that_would_not_do_is_refused(path: str, value: object) -> None:
    assert not valid("discovery", changed(DISCOVERY, path, value))

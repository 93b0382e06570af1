"""The discovery payload, and its templates rendered with Jinja."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from genrewatch.sinks.events import EVENT_TYPES
from genrewatch.sinks.mqtt.home_assistant import (
    Device,
    components,
    discovery,
    platforms,
    source_components,
    source_discovery,
)

DEVICE = Device(
    node="gw-1",
    root="genrewatch/gw-1",
    name="Kitchen box",
    labels=("jazz", "not_music", "rock"),
    sources={"mic": "Microphone"},
    version="1.2.0",
    expire_after_s=120,
    health_expire_s=90,
)
TWO = replace(DEVICE, sources={"mic": "Microphone", "radio": "Radio Küche"})
ROCK = {
    "genre": "rock",
    "reason": "majority",
    "confidence": 0.6432,
    "votes": {"rock": 7, "jazz": 2},
    "segments": 9,
    "level_dbfs": -18.3,
    "dead_air": False,
}
NOBODY = {**ROCK, "genre": None, "confidence": None}
SILENCE = {**NOBODY, "reason": "silence", "votes": {"silence": 9}, "level_dbfs": None, "dead_air": True}
STALLED = {**NOBODY, "reason": "stalled", "votes": {}, "segments": 0, "level_dbfs": None, "dead_air": None}


def schema(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (files("genrewatch") / "schema" / f"{name}.schema.json").read_text(encoding="utf-8")
    )
    return content


def everything(device: Device) -> dict[str, dict[str, Any]]:
    """Return the components of the node and of all its sources."""
    found = dict(components(device))
    for source in device.sources:
        found |= source_components(device, source)
    return found


def shown(key: str, payload: Mapping[str, Any]) -> str:
    """What a component makes of a payload, as Home Assistant would: JSON, a sandboxed Jinja, blanks stripped."""
    template = everything(DEVICE)[key]["value_template"]
    value_json = json.loads(json.dumps(payload))
    return ImmutableSandboxedEnvironment().from_string(template).render(value_json=value_json).strip()


@pytest.mark.parametrize(
    "box",
    [
        DEVICE,
        TWO,
        replace(DEVICE, sources={}),
        replace(DEVICE, labels=("neue Volksmusik é", "Unknown", "none"), sources={"line-in_2": "Line-in, left"}),
    ],
)
def test_every_payload_matches_the_published_schema(box: Device) -> None:
    jsonschema.validate(discovery(box, {"tape.genre": "sensor", "tape.listen": "switch"}), schema("discovery"))
    for source in box.sources:
        jsonschema.validate(source_discovery(box, source, {f"{source}.old": "sensor"}), schema("discovery"))


def test_the_device_and_its_origin_are_named() -> None:
    payload = discovery(DEVICE)
    assert payload["device"]["identifiers"] == ["genrewatch.gw-1"]
    assert payload["device"]["name"] == "Kitchen box"
    assert payload["device"]["sw_version"] == payload["origin"]["sw_version"] == "1.2.0"
    assert payload["origin"]["name"] == "genrewatch"


def test_what_is_measured_of_a_source_needs_box_and_source_online() -> None:
    for thing in ("genre", "confidence", "level", "music_playing", "dead_air"):
        component = source_components(TWO, "radio")[f"radio.{thing}"]
        assert component["availability"] == [
            {"topic": "genrewatch/gw-1/status"},
            {"topic": "genrewatch/gw-1/radio/availability"},
        ]
        assert component["availability_mode"] == "all"
        assert (component["state_topic"], component["expire_after"]) == ("genrewatch/gw-1/radio/state", 120)


def test_a_source_that_is_offline_can_still_be_switched_and_still_has_events() -> None:
    payload = source_discovery(TWO, "radio")
    assert payload["availability"] == [{"topic": "genrewatch/gw-1/status"}]
    switch, event = payload["components"]["radio.listen"], payload["components"]["radio.event"]
    assert "availability" not in switch
    assert "availability" not in event
    assert switch["state_topic"] == "genrewatch/gw-1/radio/listen"
    assert switch["command_topic"] == "genrewatch/gw-1/radio/listen/set"
    assert (switch["payload_on"], switch["payload_off"]) == ("ON", "OFF")
    assert event["state_topic"] == "genrewatch/gw-1/radio/event"
    assert tuple(event["event_types"]) == EVENT_TYPES


def test_diagnostics_are_read_from_health_and_need_the_box_alone() -> None:
    found = components(DEVICE)
    assert len(found) == 7
    for component in found.values():
        assert component["entity_category"] == "diagnostic"
        assert (component["state_topic"], component["expire_after"]) == ("genrewatch/gw-1/health", 90)
        assert "availability" not in component
    assert found["lost_audio"]["state_class"] == found["segments"]["state_class"] == "total_increasing"
    assert (found["lost_audio"]["device_class"], found["lost_audio"]["unit_of_measurement"]) == ("duration", "s")


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        (("jazz", "not_music", "rock"), ["jazz", "not_music", "rock", "uncertain", "silence"]),
        (("jazz", "rock"), ["jazz", "rock", "uncertain", "silence", "not_music"]),
        (("none", "Unknown", "unavailable", "rock"), ["rock", "uncertain", "silence", "not_music"]),
    ],
)
def test_the_genres_are_the_labels_and_what_there_is_without_one(labels: tuple[str, ...], options: list[str]) -> None:
    genre = source_components(replace(DEVICE, labels=labels), "mic")["mic.genre"]
    assert genre["options"] == options
    assert genre["device_class"] == "enum"
    assert "unit_of_measurement" not in genre
    assert "state_class" not in genre


@pytest.mark.parametrize(
    ("state", "genre", "music"),
    [
        (ROCK, "rock", "ON"),
        ({**ROCK, "reason": "held"}, "rock", "ON"),
        ({**ROCK, "genre": "None"}, "uncertain", "ON"),
        ({**ROCK, "genre": "unknown"}, "uncertain", "ON"),
        ({**NOBODY, "reason": "refused", "votes": {"rock": 4, "jazz": 4, "silence": 1}}, "uncertain", "ON"),
        ({**NOBODY, "reason": "refused", "votes": {"rock": 4, "silence": 3, "not_music": 2}}, "uncertain", "OFF"),
        (SILENCE, "silence", "OFF"),
        ({**NOBODY, "reason": "not_music", "votes": {"not_music": 9}}, "not_music", "OFF"),
        ({**NOBODY, "reason": "warming_up", "votes": {"rock": 1}, "segments": 1}, "uncertain", "None"),
        (STALLED, "uncertain", "None"),
        ({**STALLED, "reason": "off"}, "uncertain", "None"),
    ],
)
def test_a_state_is_shown_as_a_genre_and_as_music_or_none(state: dict[str, Any], genre: str, music: str) -> None:
    assert shown("mic.genre", state) == genre
    assert shown("mic.music_playing", state) == music


def test_every_reason_of_a_state_is_shown_as_one_of_the_options() -> None:
    for reason in schema("state")["properties"]["reason"]["enum"]:
        assert shown("mic.genre", {**NOBODY, "reason": reason}) in everything(DEVICE)["mic.genre"]["options"]


def test_what_is_not_there_is_unknown_and_no_number() -> None:
    assert [shown(f"mic.{thing}", ROCK) for thing in ("confidence", "level", "dead_air")] == ["64.3", "-18.3", "OFF"]
    assert [shown(f"mic.{thing}", SILENCE) for thing in ("confidence", "level", "dead_air")] == ["None", "None", "ON"]
    assert [shown(f"mic.{thing}", STALLED) for thing in ("confidence", "level", "dead_air")] == ["None"] * 3
    assert shown("mic.confidence", {**ROCK, "confidence": 0.0}) == "0.0"
    assert shown("mic.level", {**ROCK, "level_dbfs": 0.0}) == "0.0"


def test_diagnostics_are_shown_as_they_are_published() -> None:
    health = {
        "cpu_temperature_c": None,
        "real_time_factor": 31.2,
        "lost_s": 1.5,
        "segments": 40,
        "uptime_s": 12.5,
        "history": {"waiting": 3},
        "degraded": [],
    }
    said = {key: shown(key, health) for key in components(replace(DEVICE, sources={}))}
    assert said == {
        "cpu_temperature": "None",
        "real_time_factor": "31.2",
        "lost_audio": "1.5",
        "segments": "40",
        "uptime": "12.5",
        "outbox_waiting": "3",
        "degraded": "OFF",
    }
    assert shown("outbox_waiting", {"degraded": []}) == "None"
    assert shown("degraded", {**health, "degraded": ["the disk is full"]}) == "ON"


def test_every_field_that_is_read_is_one_that_the_schemas_promise() -> None:
    for key, component in everything(DEVICE).items():
        promised = schema("state" if "." in key else "health")
        for field in re.findall(r"value_json\.([a-z_]+)", component.get("value_template", "")):
            assert field in (*promised["required"], "history"), f"{key} reads {field}"
    assert "waiting" in schema("health")["properties"]["history"]["required"]


def test_ids_stay_whatever_else_changes() -> None:
    other = replace(TWO, name="Bar", labels=("x",), version="9", sources={"tape": "Tape", "mic": "Mikrofon"})
    before, after = everything(DEVICE), everything(other)
    assert set(before) <= set(after)
    for key, component in before.items():
        assert component["unique_id"] == after[key]["unique_id"]
        assert component["default_entity_id"] == after[key]["default_entity_id"]


def test_no_two_things_have_one_id_even_of_boxes_and_sources_with_unlucky_names() -> None:
    boxes = {"a": ("b_c", "b", "dead", "event"), "a_b": ("c", "cpu", "mic_dead"), "a-b": ("c",)}
    ids = [
        component["unique_id"]
        for node, sources in boxes.items()
        for component in everything(replace(DEVICE, node=node, sources=dict.fromkeys(sources, "x"))).values()
    ]
    assert len(set(ids)) == len(ids) == 3 * 7 + 8 * 7


def test_entity_ids_are_such_as_home_assistant_takes_and_start_with_the_product() -> None:
    found = everything(replace(DEVICE, node="GW--1", sources={"Line-In_2": "x"}))
    assert found["Line-In_2.dead_air"]["default_entity_id"] == "binary_sensor.genrewatch_gw_1_line_in_2_dead_air"
    assert found["uptime"]["default_entity_id"] == "sensor.genrewatch_gw_1_uptime"


def test_each_source_is_a_device_of_its_own_that_is_connected_through_the_node() -> None:
    node, source = discovery(TWO)["device"], source_discovery(TWO, "radio")["device"]
    assert (source["identifiers"], source["name"]) == (["genrewatch.gw-1.radio"], "Radio Küche")
    assert source["via_device"] in node["identifiers"]
    assert source_components(TWO, "radio")["radio.dead_air"]["name"] == "Dead air"
    assert components(TWO)["cpu_temperature"]["name"] == "CPU temperature"


def test_no_payload_grows_with_the_number_of_sources() -> None:
    many = replace(DEVICE, sources=dict.fromkeys((f"source-{number}" for number in range(200)), "A source"))
    assert discovery(many) == discovery(DEVICE)
    assert max(len(json.dumps(source_discovery(many, source))) for source in many.sources) < 5000


def test_removed_components_are_sent_with_their_platforms_only_and_then_left_out() -> None:
    kept = platforms(discovery(TWO)) | platforms(source_discovery(TWO, "radio"))
    assert kept["radio.event"] == "event"
    removal = discovery(DEVICE, kept)
    assert removal["components"]["radio.dead_air"] == {"platform": "binary_sensor"}
    assert {key for key, what in removal["components"].items() if len(what) == 1} == set(kept) - set(components(DEVICE))
    assert removal["components"]["uptime"] == components(DEVICE)["uptime"]
    assert platforms(removal) == platforms(discovery(DEVICE))
    assert "radio.genre" not in discovery(DEVICE, {})["components"]

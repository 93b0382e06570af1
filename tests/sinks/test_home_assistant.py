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

from genrewatch.contract.verdict_text import verdict_text
from genrewatch.sinks.events import EVENT_TYPES
from genrewatch.sinks.mqtt.home_assistant import (
    Announcement,
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
    "share": 0.7778,
    "since": "2026-11-22T12:00:00.123Z",
    "station": None,
    "title": None,
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


def with_text(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add what `Payloads.state` adds to the fields of a verdict."""
    return {**payload, "text": verdict_text(payload["genre"], payload["reason"])} if "genre" in payload else payload


def shown(key: str, payload: Mapping[str, Any]) -> str:
    """What a component makes of a payload, as Home Assistant would: JSON, a sandboxed Jinja, blanks stripped."""
    template = everything(DEVICE)[key]["value_template"]
    value_json = json.loads(json.dumps(with_text(payload)))
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
        (("hiphop", "not_music", "rock"), ["Hip hop", "Not music", "Rock"]),
        (("jazz", "latin_jazz"), ["Jazz", "Latin jazz"]),
        (("none", "Unknown", "unavailable", "rock"), ["None genre", "Unknown genre", "Unavailable genre", "Rock"]),
    ],
)
def test_the_genres_are_the_labels_in_words_and_what_there_is_without_one(
    labels: tuple[str, ...], options: list[str]
) -> None:
    genre = source_components(replace(DEVICE, labels=labels), "mic")["mic.genre"]
    others = ["Uncertain", "Unknown music", "Silence", "Not music", "Warming up", "No sound", "Switched off"]
    assert genre["options"] == [*options, *(other for other in others if other not in options)]
    assert genre["device_class"] == "enum"
    assert "unit_of_measurement" not in genre
    assert "state_class" not in genre


@pytest.mark.parametrize(
    ("state", "genre", "music"),
    [
        (ROCK, "Rock", "ON"),
        ({**ROCK, "reason": "held"}, "Rock", "ON"),
        ({**ROCK, "genre": "None"}, "None genre", "ON"),
        ({**ROCK, "genre": "unknown"}, "Unknown genre", "ON"),
        ({**NOBODY, "reason": "refused", "votes": {"rock": 4, "jazz": 4, "silence": 1}}, "Uncertain", "ON"),
        ({**NOBODY, "reason": "refused", "votes": {"rock": 4, "silence": 3, "not_music": 2}}, "Uncertain", "OFF"),
        ({**NOBODY, "reason": "unknown", "votes": {"unknown": 7, "rock": 2}}, "Unknown music", "ON"),
        (SILENCE, "Silence", "OFF"),
        ({**NOBODY, "reason": "not_music", "votes": {"not_music": 9}}, "Not music", "OFF"),
        ({**NOBODY, "reason": "warming_up", "votes": {"rock": 1}, "segments": 1}, "Warming up", "None"),
        (STALLED, "No sound", "None"),
        ({**STALLED, "reason": "off"}, "Switched off", "None"),
    ],
)
def test_a_state_is_shown_as_a_genre_and_as_music_or_none(state: dict[str, Any], genre: str, music: str) -> None:
    assert shown("mic.genre", state) == genre
    assert shown("mic.music_playing", state) == music


def test_every_reason_of_a_state_is_shown_as_one_of_the_options() -> None:
    options = everything(DEVICE)["mic.genre"]["options"]
    found = {
        shown("mic.genre", {**NOBODY, "reason": reason}) for reason in schema("state")["properties"]["reason"]["enum"]
    }
    assert found <= set(options)
    assert "Warming up" in found


def test_a_genre_keeps_its_key_votes_share_and_runners_up_as_attributes() -> None:
    template = everything(DEVICE)["mic.genre"]["json_attributes_template"]
    render = ImmutableSandboxedEnvironment().from_string(template).render
    assert json.loads(render(value_json=ROCK)) == {
        "key": "rock",
        "reason": "majority",
        "share": 0.7778,
        "votes": {"rock": 7, "jazz": 2},
        "runners_up": ["jazz"],
        "since": ROCK["since"],
    }
    silent = json.loads(render(value_json={**SILENCE, "share": None}))
    assert (silent["key"], silent["share"], silent["runners_up"]) == ("silence", None, ["silence"])


def test_title_and_station_are_text_of_a_length_that_home_assistant_takes() -> None:
    assert [shown(f"mic.{thing}", ROCK) for thing in ("title", "station")] == ["None", "None"]
    assert shown("mic.title", {**ROCK, "title": "é" * 300}) == "é" * 255
    assert shown("mic.station", {**ROCK, "station": "Jazz {{ FM }}"}) == "Jazz {{ FM }}"
    without = replace(DEVICE, announcement=Announcement(without_title=["mic"]))
    assert not {"mic.title", "mic.station"} & set(source_components(without, "mic"))


def test_what_changes_with_every_message_is_disabled_by_default() -> None:
    off = {key for key, what in everything(DEVICE).items() if what.get("enabled_by_default") is False}
    assert off == {"mic.level", "real_time_factor", "segments"}


def test_each_event_but_the_test_is_a_device_trigger_of_the_source() -> None:
    triggers = {key: what for key, what in everything(TWO).items() if what["platform"] == "device_automation"}
    assert {f"radio.on_{event}" for event in EVENT_TYPES if event != "test"} <= set(triggers)
    began = triggers["radio.on_dead_air"]
    assert (began["topic"], began["payload"]) == ("genrewatch/gw-1/radio/event", "dead_air")
    assert (began["subtype"], began["type"]) == ("Dead air", "began")
    assert len({(what["subtype"], what["type"]) for key, what in triggers.items() if key.startswith("radio.")}) == 7


def test_settings_that_commands_can_change_are_numbers_and_selects() -> None:
    settable = replace(DEVICE, settable=["segments", "silence_dbfs", "filter"])
    found = source_components(settable, "mic")
    assert not any(".set_" in key for key in source_components(DEVICE, "mic"))
    segments, level, choice = (found[f"mic.set_{key}"] for key in ("segments", "silence_dbfs", "filter"))
    assert (segments["platform"], segments["min"], segments["max"], segments["step"]) == ("number", 1, 1000, 1)
    assert (level["unit_of_measurement"], level["name"]) == ("dBFS", "Silence level")
    assert (choice["platform"], choice["options"]) == ("select", ["none", "hmm"])
    assert segments["default_entity_id"] == "number.genrewatch_gw_1_mic_set_segments"
    jsonschema.validate(source_discovery(settable, "mic", {"mic.set_x": "select"}), schema("discovery"))


def test_area_and_page_are_announced_where_they_are_known() -> None:
    about = Announcement(areas={"radio": "Küche"}, page_url="http://pi.local:8710/")
    told = replace(TWO, announcement=about)
    assert source_discovery(told, "radio")["device"]["suggested_area"] == "Küche"
    assert "suggested_area" not in source_discovery(told, "mic")["device"]
    assert discovery(told)["device"]["configuration_url"] == "http://pi.local:8710/"
    assert "configuration_url" not in discovery(TWO)["device"]
    jsonschema.validate(source_discovery(told, "radio"), schema("discovery"))


def test_a_machine_without_a_sensor_has_no_cpu_temperature_and_the_old_entity_is_removed() -> None:
    none = replace(DEVICE, announcement=Announcement(cpu_temperature=False))
    assert "cpu_temperature" not in components(none)
    removal = discovery(none, platforms(discovery(DEVICE)))
    assert removal["components"]["cpu_temperature"] == {"platform": "sensor"}


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
        "started": "2026-11-22T12:00:00.000Z",
        "history": {"waiting": 3},
        "degraded": [],
    }
    said = {key: shown(key, health) for key in components(replace(DEVICE, sources={}))}
    assert said == {
        "cpu_temperature": "None",
        "real_time_factor": "31.2",
        "lost_audio": "1.5",
        "segments": "40",
        "uptime": "2026-11-22T12:00:00.000Z",
        "outbox_waiting": "3",
        "degraded": "OFF",
    }
    assert shown("outbox_waiting", {"degraded": []}) == "None"
    assert shown("degraded", {**health, "degraded": ["the disk is full"]}) == "ON"


def test_every_field_that_is_read_is_one_that_the_schemas_promise() -> None:
    for key, component in everything(DEVICE).items():
        trigger = component["platform"] == "device_automation"
        promised = schema("event" if trigger else "state" if "." in key else "health")
        for field in re.findall(r"value_json\.([a-z_]+)", component.get("value_template", "")):
            assert field in (*promised["required"], "history"), f"{key} reads {field}"
    assert "waiting" in schema("health")["properties"]["history"]["required"]


def test_ids_stay_whatever_else_changes() -> None:
    other = replace(TWO, name="Bar", labels=("x",), version="9", sources={"tape": "Tape", "mic": "Mikrofon"})
    before, after = everything(DEVICE), everything(other)
    assert set(before) <= set(after)
    for key, component in before.items():
        assert component.get("unique_id") == after[key].get("unique_id")
        assert component.get("default_entity_id") == after[key].get("default_entity_id")


def test_no_two_things_have_one_id_even_of_boxes_and_sources_with_unlucky_names() -> None:
    boxes = {"a": ("b_c", "b", "dead", "event"), "a_b": ("c", "cpu", "mic_dead"), "a-b": ("c",)}
    ids = [
        component["unique_id"]
        for node, sources in boxes.items()
        for component in everything(replace(DEVICE, node=node, sources=dict.fromkeys(sources, "x"))).values()
        if component["platform"] != "device_automation"
    ]
    assert len(set(ids)) == len(ids) == 3 * 7 + 8 * 9


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
    assert max(len(json.dumps(source_discovery(many, source))) for source in many.sources) < 8000


def test_removed_components_are_sent_with_their_platforms_only_and_then_left_out() -> None:
    kept = platforms(discovery(TWO)) | platforms(source_discovery(TWO, "radio"))
    assert kept["radio.event"] == "event"
    removal = discovery(DEVICE, kept)
    assert removal["components"]["radio.dead_air"] == {"platform": "binary_sensor"}
    assert {key for key, what in removal["components"].items() if len(what) == 1} == set(kept) - set(components(DEVICE))
    assert removal["components"]["uptime"] == components(DEVICE)["uptime"]
    assert platforms(removal) == platforms(discovery(DEVICE))
    assert "radio.genre" not in discovery(DEVICE, {})["components"]

"""The sink's messages at a real Mosquitto: topics, payloads, flags and properties."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from itertools import takewhile
from pathlib import Path

import jsonschema
import pytest
from tests.servers import Watcher, no_mqtt_5
from tests.sinks.mqtt_rig import JAZZ, MODEL, ROCK, SILENCE, running_sink

from genrewatch.contract.errors import ConfigError
from genrewatch.sinks.mqtt.sink import MqttConfig, MqttSink
from genrewatch.sources.source import NowPlaying
from genrewatch_drill.servers.mosquitto import Mosquitto

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
SCHEMA = json.loads((files("genrewatch") / "schema" / "state.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as mosquitto:
        yield mosquitto


class Clock:
    """A monotonic clock that a test turns by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_state_has_every_field_of_the_schema_and_an_expiry(broker: Mosquitto) -> None:
    with Watcher(broker.port) as watcher, running_sink(broker.url, clock=lambda: NOON) as sink:
        sink.on_result("mic", ROCK)
        seen = watcher.next("genrewatch/box/mic/state")
    assert json.loads(seen.payload) == {
        "v": 1,
        "node": "box",
        "source": "mic",
        "name": "mic",
        "seq": 1,
        "ts": "2026-11-22T12:00:00.123Z",
        "genre": "rock",
        "reason": "majority",
        "confidence": 0.6432,
        "share": 0.7778,
        "votes": {"rock": 7, "jazz": 2},
        "segments": 9,
        "level_dbfs": -18.3,
        "peak_dbfs": -3.1,
        "clipped": 0.0001,
        "dc": -0.0012,
        "dead_air": False,
        "bandwidth_hz": 8000,
        "channels": 2,
        "phase": "antiphase",
        "start_s": 1.0,
        "end_s": 8.0,
        "lost_s": 0.0,
        "text": "Rock",
        "station": None,
        "title": None,
        "since": "2026-11-22T12:00:00.123Z",
        "model": "net",
        "version": "1.2.0",
    }
    assert seen.qos == 1
    assert seen.properties["ContentType"] == "application/json"
    assert seen.properties["PayloadFormatIndicator"] == 1
    assert seen.properties["UserProperty"] == [("schema", "genrewatch/state/1")]
    assert 100 < seen.properties["MessageExpiryInterval"] <= 120


def test_a_late_subscriber_receives_status_availability_and_state(broker: Mosquitto) -> None:
    with running_sink(broker.url) as sink:
        with Watcher(broker.port) as early:
            early.next("box/status")
            sink.on_availability("mic", True, "opened")
            sink.on_result("mic", ROCK)
            early.next("mic/state")
            early.next("mic/votes")
        with Watcher(broker.port) as late:
            seen = {message.topic: message for message in late.settled()}
    assert {topic: message.retain for topic, message in seen.items()} == {
        "genrewatch/box/status": True,
        "genrewatch/box/mic/availability": True,
        "genrewatch/box/mic/state": True,
    }
    assert (seen["genrewatch/box/status"].payload, seen["genrewatch/box/status"].qos) == ("online", 1)
    assert 0 < seen["genrewatch/box/mic/state"].properties["MessageExpiryInterval"] <= 120


def test_every_state_matches_the_published_schema(broker: Mosquitto) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    with Watcher(broker.port) as watcher, running_sink(broker.url) as sink:
        watcher.next("box/status")
        sink.on_stalled("radio")
        for result in (ROCK, SILENCE, JAZZ):
            sink.on_result("radio", result)
        sink.on_availability("radio", False, "stream stalled")
        sink.on_stalled("radio")
        states = [json.loads(watcher.next("radio/state").payload) for _ in range(5)]
    for state in states:
        jsonschema.validate(state, SCHEMA)
        assert set(state) == set(SCHEMA["required"]) == set(SCHEMA["properties"])
    assert [state["reason"] for state in states] == ["stalled", "majority", "silence", "majority", "stalled"]
    assert [state["seq"] for state in states] == sorted({state["seq"] for state in states})
    assert [state["level_dbfs"] for state in states] == [None, -18.3, None, -18.3, None]
    assert states[-1]["genre"] is None
    assert states[-1]["end_s"] == 8.0


def test_a_state_is_published_again_only_when_it_changes_or_a_heartbeat_is_due(broker: Mosquitto) -> None:
    clock = Clock()
    with Watcher(broker.port) as watcher, running_sink(broker.url, monotonic=clock, settings={"votes": False}) as sink:
        watcher.next("box/status")
        for second in range(62):
            clock.now = 1000.0 + second
            sink.on_result("mic", ROCK if second < 45 else JAZZ)
        watcher.next("mic/state")
        watcher.until(lambda seen: '"seq":3' in seen.payload)
        assert not any(seen.topic.endswith("state") for seen in watcher.settled())
        sink.on_result("line", ROCK)
        seen = watcher.next("line/state")
    assert json.loads(seen.payload)["seq"] == 4


def test_since_stays_while_the_genre_stays(broker: Mosquitto) -> None:
    hours = iter(range(24))
    with (
        Watcher(broker.port) as watcher,
        running_sink(broker.url, clock=lambda: NOON.replace(hour=next(hours)), settings={"votes": False}) as sink,
    ):
        watcher.next("box/status")
        held = replace(ROCK, verdict=replace(ROCK.verdict, reason="held"))
        for result in (ROCK, held, ROCK, JAZZ):
            sink.on_result("mic", result)
        states = [json.loads(watcher.next("mic/state").payload) for _ in range(4)]
    assert [state["reason"] for state in states] == ["majority", "held", "majority", "majority"]
    assert len({state["since"] for state in states[:3]}) == 1
    assert states[3]["since"] == states[3]["ts"] > states[0]["since"]


def test_station_and_title_are_in_the_state_until_the_source_stalls(broker: Mosquitto) -> None:
    with Watcher(broker.port) as watcher, running_sink(broker.url, names={"radio": "Radio Küche"}) as sink:
        watcher.next("box/status")
        sink.on_now_playing("radio", NowPlaying(station="Jazz FM"))
        sink.on_result("radio", ROCK)
        sink.on_now_playing("radio", NowPlaying(station="Jazz FM", title="So What"))
        sink.on_stalled("radio")
        seen = [
            watcher.until(lambda seen: '"genre":"rock"' in seen.payload and "state" in seen.topic) for _ in range(2)
        ]
        states = [json.loads(message.payload) for message in [*seen, watcher.next("radio/state")]]
    assert [(state["station"], state["title"]) for state in states] == [
        ("Jazz FM", None),
        ("Jazz FM", "So What"),
        (None, None),
    ]
    assert [state["genre"] for state in states] == ["rock", "rock", None]
    assert {state["name"] for state in states} == {"Radio Küche"}
    assert states[0]["since"] == states[1]["since"]


def test_dead_air_is_published_at_once_and_is_unknown_while_nothing_arrives(broker: Mosquitto) -> None:
    with Watcher(broker.port) as watcher, running_sink(broker.url) as sink:
        watcher.next("box/status")
        sink.on_result("radio", SILENCE)
        sink.on_result("radio", replace(SILENCE, dead_air=True))
        sink.on_stalled("radio")
        states = [json.loads(watcher.next("radio/state").payload) for _ in range(3)]
    assert [state["dead_air"] for state in states] == [False, True, None]
    assert states[0]["since"] == states[1]["since"]


def test_votes_show_the_best_of_each_segment_and_are_not_retained(broker: Mosquitto) -> None:
    with Watcher(broker.port) as watcher, running_sink(broker.url, settings={"top_k": 2}) as sink:
        watcher.next("box/status")
        sink.on_result("mic", ROCK)
        sink.on_result("mic", SILENCE)
        music, silence = watcher.next("mic/votes"), watcher.next("mic/votes")
        with Watcher(broker.port) as late:
            assert not any(seen.topic.endswith("votes") for seen in late.settled())
    assert json.loads(music.payload)["posterior"] == {"rock": 0.65, "jazz": 0.2}
    assert json.loads(music.payload)["votes"] == {"rock": 7, "jazz": 2}
    assert json.loads(silence.payload)["posterior"] is None
    assert (music.qos, music.properties["UserProperty"]) == (0, [("schema", "genrewatch/votes/1")])


@pytest.mark.parametrize(
    ("every", "published"), [(1, "rock rock rock silence silence"), (3, "rock silence"), (0, "rock silence")]
)
def test_votes_of_every_nth_segment_or_of_changes_only(broker: Mosquitto, every: int, published: str) -> None:
    settings = {"votes_every": every}
    with Watcher(broker.port) as watcher, running_sink(broker.url, settings=settings) as sink:
        watcher.next("box/status")
        for result in (ROCK, ROCK, ROCK, SILENCE, SILENCE):
            sink.on_result("mic", result)
        sink.on_health({})
        messages = iter(lambda: watcher.until(lambda seen: seen.topic.endswith(("mic/votes", "box/health"))), None)
        votes = list(takewhile(lambda seen: not seen.topic.endswith("health"), messages))
    assert " ".join(json.loads(message.payload)["label"] for message in votes) == published


def test_health_is_published_once_and_not_retained(broker: Mosquitto) -> None:
    with Watcher(broker.port) as watcher, running_sink(broker.url) as sink:
        watcher.next("box/status")
        sink.on_health({"uptime_s": 3.5, "café": None})
        seen = watcher.next("box/health")
    health = json.loads(seen.payload)
    assert {"v": 1, "node": "box", "uptime_s": 3.5, "café": None}.items() <= health.items()
    assert health["mqtt"] == {"protocol": "5", "connections": 1, "dropped": 0, "commands": 0, "ignored": 0}
    assert (seen.qos, seen.retain) == (0, False)


def test_each_source_has_topics_of_its_own_and_labels_may_be_any_text(broker: Mosquitto) -> None:
    with Watcher(broker.port) as watcher, running_sink(broker.url, settings={"base": "bar/musik", "top_k": 4}) as sink:
        watcher.next("bar/musik/box/status")
        sink.on_result("a", ROCK)
        sink.on_result("b", JAZZ)
        first, second = watcher.next("bar/musik/box/a/votes"), watcher.next("bar/musik/box/b/state")
    assert "neue Volksmusik é" in json.loads(first.payload)["posterior"]
    assert json.loads(second.payload)["genre"] == "jazz"


@pytest.mark.parametrize("refusal", [b"", bytes.fromhex("20020001"), bytes.fromhex("2003008400")])
def test_a_broker_without_mqtt_5_is_served_in_3_1_1_where_no_state_is_retained(
    broker: Mosquitto, refusal: bytes
) -> None:
    with (
        no_mqtt_5(broker.port, refusal) as port,
        Watcher(broker.port) as watcher,
        running_sink(f"mqtt://127.0.0.1:{port}") as sink,
    ):
        watcher.next("box/status")
        sink.on_availability("mic", True, "opened")
        sink.on_result("mic", ROCK)
        watcher.next("mic/state")
        watcher.next("mic/votes")
        assert sink.protocol == "3.1.1"
        with Watcher(broker.port) as late:
            topics = {seen.topic for seen in late.settled()}
    assert topics == {"genrewatch/box/status", "genrewatch/box/mic/availability"}


@pytest.mark.parametrize("name", ["", "a/b", "küche", "+", "a b"])
def test_an_id_that_cannot_stand_in_a_topic_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="node"):
        MqttSink(MqttConfig(url="mqtt://127.0.0.1"), name, MODEL)
    sink = MqttSink(MqttConfig(url="mqtt://127.0.0.1"), "box", MODEL)
    with pytest.raises(ConfigError, match="source"):
        sink.on_availability(name, True, "")

"""Commands and Home Assistant's birth through a real Mosquitto; removal of sources that are gone."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.servers import Watcher
from tests.sinks.mqtt_rig import JAZZ, LABELS, MODEL, ROCK, running_sink

from genrewatch.audio.level import LevelConfig
from genrewatch.contract.verdict_text import label_text
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import Pipeline, open_pipeline
from genrewatch.sinks.mqtt import sink as mqtt
from genrewatch_drill.servers.mosquitto import Mosquitto

CONFIG = "homeassistant/device/box/config"
MIC_CONFIG = "homeassistant/device/box/mic/config"
DISCOVERY = {"discovery": True, "votes": False}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as mosquitto:
        yield mosquitto


class RecordingHandler:
    """Records the commands."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, object]] = []

    def set_listening(self, source_id: str, on: bool) -> None:
        self.commands.append((source_id, on))

    def set_bundle(self, name: str) -> None:
        self.commands.append(("bundle", name))

    def set_setting(self, source_id: str, key: str, value: object) -> None:
        self.commands.append((f"{source_id}.{key}", value))

    def correct(self, source_id: str, seq: int | None, label: str | None) -> None:
        self.commands.append((source_id, (seq, label)))

    def publish_health(self) -> None: ...

    def wait(self, count: int) -> list[tuple[str, object]]:
        deadline = time.monotonic() + 10
        while len(self.commands) < count:
            assert time.monotonic() < deadline, self.commands
            time.sleep(0.01)
        return self.commands


class HealthHandler(RecordingHandler):
    """Records requests for health, too."""

    def publish_health(self) -> None:
        self.commands.append(("health", None))


def retained(port: int) -> dict[str, str]:
    with Watcher(port) as late:
        return {seen.topic: seen.payload for seen in late.settled() if seen.retain}


def test_a_switch_command_is_carried_out_and_everything_else_is_ignored_and_counted(broker: Mosquitto) -> None:
    handler = RecordingHandler()
    with Watcher(broker.port) as watcher, running_sink(broker.url, names={"mic": "Mic", "line": "Line"}) as sink:
        sink.set_command_handler(handler)
        watcher.next("box/status")
        for topic, payload in (
            ("mic/listen/set", "OFF"),
            ("mic/listen/set", "off"),
            ("mic/listen/set", ""),
            ("mic/listen/set", "O" * 100_000),
            ("attic/listen/set", "OFF"),
            ("bundle/set", "other"),
            ("line/listen/set", "ON"),
        ):
            watcher.publish(f"genrewatch/box/{topic}", payload)
        assert handler.wait(2) == [("mic", False), ("line", True)]
        sink.on_health({})
        mqtt = json.loads(watcher.next("box/health").payload)["mqtt"]
    # A hundred kilobytes are more than we let the broker send; bundle/set is not even subscribed to.
    assert (mqtt["commands"], mqtt["ignored"]) == (2, 3)


def test_a_retained_command_is_ignored(broker: Mosquitto) -> None:
    handler = RecordingHandler()
    with Watcher(broker.port) as watcher:
        watcher.publish("genrewatch/box/mic/listen/set", "OFF", retain=True)
        with running_sink(broker.url, names={"mic": "Mic"}) as sink:
            sink.set_command_handler(handler)
            watcher.next("box/status")
            watcher.publish("genrewatch/box/mic/listen/set", "ON")
            assert handler.wait(1) == [("mic", True)]


def test_a_bundle_is_chosen_by_its_name_and_only_where_that_is_allowed(broker: Mosquitto, tmp_path: Path) -> None:
    handler = RecordingHandler()
    settings = {"bundles": str(tmp_path)}
    with Watcher(broker.port) as watcher, running_sink(broker.url, settings=settings, names={"mic": "M"}) as sink:
        sink.set_command_handler(handler)
        watcher.next("box/status")
        for name in ("../../etc", "/etc", "a b", "", "good-one"):
            watcher.publish("genrewatch/box/bundle/set", name)
        assert handler.wait(1) == [("bundle", "good-one")]


def test_a_setting_is_changed_only_where_that_is_allowed_and_only_to_what_it_can_be(broker: Mosquitto) -> None:
    handler = RecordingHandler()
    settings = {"settable": ("segments", "filter")}
    with Watcher(broker.port) as watcher, running_sink(broker.url, settings=settings, names={"mic": "M"}) as sink:
        sink.set_command_handler(handler)
        watcher.next("box/status")
        for topic, value in (
            ("mic/setting/segments", "0"),
            ("mic/setting/segments", "1.5"),
            ("mic/setting/segments", "nan"),
            ("mic/setting/silence_dbfs", "-50"),
            ("radio/setting/segments", "3"),
            ("mic/setting/filter", "HMM"),
            ("mic/setting/segments", "15"),
            ("mic/setting/filter", "hmm"),
        ):
            watcher.publish(f"genrewatch/box/{topic}/set", value)
        assert handler.wait(2) == [("mic.segments", 15), ("mic.filter", "hmm")]
        sink.on_health({})
        mqtt = json.loads(watcher.next("box/health").payload)["mqtt"]
        assert (mqtt["commands"], mqtt["ignored"]) == (2, 6)


def test_a_correction_is_taken_only_where_that_is_allowed_and_only_as_documented(broker: Mosquitto) -> None:
    handler = RecordingHandler()
    wrong = ["jazz", "[]", "[" * 200, "{}", '{"seq": 3}', '{"seq": "3", "label": "jazz"}', '{"seq": 0, "label": "a"}']
    wrong += ['{"seq": true, "label": "jazz"}', '{"seq": 3, "label": " a"}', '{"seq": 3, "label": "a", "by": "me"}']
    names = {"mic": "M"}
    with Watcher(broker.port) as watcher, running_sink(broker.url, settings={"corrections": True}, names=names) as sink:
        sink.set_command_handler(handler)
        watcher.next("box/status")
        for payload in (*wrong, '{"seq": 3, "label": "our jingle"}', '{"label": "jazz"}', '{"seq": 3, "label": null}'):
            watcher.publish("genrewatch/box/mic/correct/set", payload)
        assert handler.wait(3) == [("mic", (3, "our jingle")), ("mic", (None, "jazz")), ("mic", (3, None))]
        sink.on_health({})
        assert json.loads(watcher.next("box/health").payload)["mqtt"]["ignored"] == len(wrong)
    with Watcher(broker.port) as watcher, running_sink(broker.url, names=names) as sink:
        sink.set_command_handler(handler)
        watcher.next("box/status")
        watcher.publish("genrewatch/box/mic/correct/set", '{"label": "jazz"}')
        watcher.publish("genrewatch/box/mic/listen/set", "OFF")
        assert handler.wait(4)[3] == ("mic", False)


def test_settings_are_retained_and_leave_with_their_key(broker: Mosquitto, tmp_path: Path) -> None:
    state = PersistentState(tmp_path / "memory.json")
    arguments = {"names": {"mic": "Mic"}, "persistent_state": state, "birth_delay_s": (0.01, 0.02)}
    allowed = {**DISCOVERY, "settable": ("segments", "filter")}
    with Watcher(broker.port) as watcher:
        with running_sink(broker.url, settings=allowed, **arguments) as sink:
            sink.on_settings("mic", {"segments": 15, "filter": "none"})
            components = json.loads(watcher.next(MIC_CONFIG).payload)["components"]
            assert components["mic.set_segments"]["command_topic"] == "genrewatch/box/mic/setting/segments/set"
            watcher.next("mic/setting/segments")
        assert retained(broker.port)["genrewatch/box/mic/setting/segments"] == "15"
        with running_sink(broker.url, settings={**DISCOVERY, "settable": ("filter",)}, **arguments):
            watcher.until(lambda seen: seen.topic == "genrewatch/box/mic/setting/segments" and not seen.payload)
            removal = json.loads(watcher.next(MIC_CONFIG).payload)["components"]["mic.set_segments"]
            assert removal == {"platform": "number"}
        assert "genrewatch/box/mic/setting/filter" in retained(broker.port)
        assert "genrewatch/box/mic/setting/segments" not in retained(broker.port)


def test_discovery_is_published_before_states(broker: Mosquitto) -> None:
    with Watcher(broker.port) as watcher, running_sink(broker.url, settings=DISCOVERY, names={"mic": "Mic"}) as sink:
        seen = watcher.next(CONFIG)
        config, of_mic = json.loads(seen.payload), json.loads(watcher.next(MIC_CONFIG).payload)
        sink.on_availability("mic", True, "")
        sink.on_result("mic", ROCK)
        watcher.next("mic/state")
    assert config["device"]["identifiers"] == ["genrewatch.box"]
    assert of_mic["device"]["via_device"] == "genrewatch.box"
    assert set(map(label_text, LABELS)) <= set(of_mic["components"]["mic.genre"]["options"])
    assert retained(broker.port)[CONFIG] == seen.payload


def test_home_assistant_s_start_repeats_the_birth_sequence_in_order(broker: Mosquitto) -> None:
    arguments = {"settings": DISCOVERY, "names": {"mic": "Mic"}, "birth_delay_s": (0.05, 0.1)}
    with Watcher(broker.port) as watcher, running_sink(broker.url, **arguments) as sink:
        watcher.next("box/status")
        sink.on_disabled("mic", False)
        sink.on_availability("mic", True, "")
        sink.on_result("mic", ROCK)
        watcher.next("mic/event")
        watcher.publish("homeassistant/status", "offline")
        watcher.publish("homeassistant/status", "online")
        watcher.next("homeassistant/status")
        watcher.next("homeassistant/status")
        topics = [watcher.until(lambda seen: True).topic for _ in range(6)]
    assert topics == [
        "genrewatch/box/status",
        CONFIG,
        MIC_CONFIG,
        "genrewatch/box/mic/listen",
        "genrewatch/box/mic/availability",
        "genrewatch/box/mic/state",
    ]


def test_after_a_kill_a_source_is_warming_up_before_the_node_is_online(broker: Mosquitto) -> None:
    arguments = {"names": {"mic": "Mic"}, "birth_delay_s": (0.05, 0.1)}
    with Watcher(broker.port) as watcher:
        watcher.publish("genrewatch/box/mic/state", '{"genre": "rock"}', retain=True)  # of before the kill
        with running_sink(broker.url, **arguments):
            seen = watcher.until(lambda seen: seen.topic == "genrewatch/box/mic/state" and '"v":1' in seen.payload)
            assert watcher.until(lambda seen: True).topic == "genrewatch/box/status"
            state = json.loads(seen.payload)
            assert (state["genre"], state["reason"], state["text"]) == (None, "warming_up", "Warming up")
            assert json.loads(retained(broker.port)["genrewatch/box/mic/state"])["reason"] == "warming_up"


def test_home_assistant_s_start_asks_for_health_again(broker: Mosquitto) -> None:
    handler = HealthHandler()
    arguments = {"settings": DISCOVERY, "names": {"mic": "Mic"}, "birth_delay_s": (0.05, 0.1)}
    with Watcher(broker.port) as watcher, running_sink(broker.url, **arguments) as sink:
        watcher.next(MIC_CONFIG)
        time.sleep(0.2)  # the repetition after the birth
        sink.set_command_handler(handler)
        watcher.publish("homeassistant/status", "online")
        assert handler.wait(2) == [("health", None)] * 2


def test_a_source_that_has_left_the_configuration_leaves_home_assistant_and_the_broker(
    broker: Mosquitto, tmp_path: Path
) -> None:
    path = tmp_path / "memory.json"
    with Watcher(broker.port) as watcher:
        both = {"mic": "Mic", "line": "Line"}
        with running_sink(broker.url, settings=DISCOVERY, names=both, persistent_state=PersistentState(path)) as sink:
            for source in both:
                sink.on_disabled(source, False)
                sink.on_availability(source, True, "")
                sink.on_result(source, ROCK)
            watcher.next("line/state")
        assert "genrewatch/box/line/listen" in retained(broker.port)
        watcher.settled()
        with running_sink(broker.url, settings=DISCOVERY, names={"mic": "Mic"}, persistent_state=PersistentState(path)):
            assert watcher.next("homeassistant/device/box/line/config").payload == ""
            watcher.next(MIC_CONFIG)
    assert not any("/line/" in topic for topic in retained(broker.port))
    arguments = {"settings": DISCOVERY, "names": {"mic": "Mic"}, "persistent_state": PersistentState(path)}
    with Watcher(broker.port) as watcher, running_sink(broker.url, **arguments) as sink:
        seen = [watcher.until(lambda message: not message.retain).topic]
        while not seen[-1].endswith("availability"):
            sink.on_availability("mic", True, "")
            seen.append(watcher.until(lambda message: not message.retain).topic)
    assert seen.count(CONFIG) == 1, "once is enough"


def test_the_one_device_of_earlier_versions_is_split_and_unique_ids_stay(broker: Mosquitto) -> None:
    persistent_state = PersistentState(None)
    persistent_state.put("components", {"uptime": "sensor", "mic.genre": "sensor", "mic.listen": "switch"})
    persistent_state.put("sources", ["mic"])
    arguments = {"settings": DISCOVERY, "names": {"mic": "Mic"}, "persistent_state": persistent_state}
    for born in range(2):
        with Watcher(broker.port) as watcher, running_sink(broker.url, **arguments):
            seen = [watcher.until(lambda message: not message.retain and "/device/" in message.topic)]
            while seen[-1].topic != MIC_CONFIG:
                seen.append(watcher.until(lambda message: not message.retain and "/device/" in message.topic))
            watcher.settled()
        found = [json.loads(message.payload)["components"] for message in seen]
        if born == 0:
            removal, after, of_mic = found
            assert removal["mic.genre"] == {"platform": "sensor"}
            assert removal["mic.listen"] == {"platform": "switch"}
            assert not any(key.startswith("mic.") for key in after)
            assert of_mic["mic.genre"]["unique_id"] == "genrewatch.box.mic.genre"
        else:
            assert [message.topic for message in seen] == [CONFIG, MIC_CONFIG], "the migration is done once"


def test_discovery_that_is_disabled_is_deleted(broker: Mosquitto, tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    for wanted in (True, False):
        with Watcher(broker.port) as watcher:
            settings = {"discovery": wanted}
            with running_sink(
                broker.url, settings=settings, names={"mic": "Mic"}, persistent_state=PersistentState(path)
            ) as sink:
                watcher.next("box/status")
                sink.on_availability("mic", True, "")
                watcher.next("mic/availability")
        assert (CONFIG in retained(broker.port)) is wanted
        assert (MIC_CONFIG in retained(broker.port)) is wanted


def test_a_model_with_other_labels_is_announced_at_once(broker: Mosquitto) -> None:
    pipeline: Pipeline = open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())
    with Watcher(broker.port) as watcher, running_sink(broker.url, settings=DISCOVERY, names={"mic": "Mic"}) as sink:
        watcher.next(MIC_CONFIG)
        sink.on_stream("mic", replace(pipeline, manifest=MODEL))
        sink.on_result("mic", ROCK)
        assert json.loads(watcher.next("mic/state").payload)["model"] == "net"
        sink.on_stream("mic", pipeline)
        options = json.loads(watcher.next(MIC_CONFIG).payload)["components"]["mic.genre"]["options"]
        sink.on_result("mic", JAZZ)
        assert json.loads(watcher.next("mic/state").payload)["model"] == "gtzan-compact"
    assert set(map(label_text, pipeline.manifest.genres)) <= set(options)


def test_a_source_that_is_switched_off_has_the_state_off_and_no_verdict(broker: Mosquitto) -> None:
    with Watcher(broker.port) as watcher, running_sink(broker.url, names={"mic": "Mic"}) as sink:
        watcher.next("box/status")
        sink.on_result("mic", ROCK)
        watcher.next("mic/state")
        sink.on_availability("mic", False, "switched off")
        sink.on_disabled("mic", True)
        assert watcher.next("mic/availability").payload == "offline"
        assert watcher.next("mic/listen").payload == "OFF"
        state = json.loads(watcher.next("mic/state").payload)
    assert (state["genre"], state["reason"], state["confidence"], state["level_dbfs"]) == (None, "off", None, None)


def test_deletions_are_kept_when_the_broker_disconnects_at_once(tmp_path: Path) -> None:
    persistent_state = PersistentState(tmp_path / "memory.json")
    persistent_state.put("sources", ["line", "mic"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        with running_sink(
            url, settings={**DISCOVERY, "protocol": "5"}, names={"mic": "Mic"}, persistent_state=persistent_state
        ):
            for _ in range(3):
                client, _ = server.accept()
                client.recv(4096)
                client.sendall(bytes.fromhex("2003000000"))
                client.close()
    assert persistent_state.get("sources", [""]) == ["line", "mic"]


def test_deletions_are_kept_when_the_broker_acknowledges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithHealth(RecordingHandler):
        def publish_health(self) -> None:
            self.commands.append(("health", None))

    monkeypatch.setattr(mqtt, "CLOSE_S", 0.1)
    persistent_state, handler = PersistentState(tmp_path / "memory.json"), WithHealth()
    persistent_state.put("sources", ["line", "mic"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = {
            "settings": {**DISCOVERY, "protocol": "5"},
            "names": {"mic": "Mic"},
            "persistent_state": persistent_state,
        }
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        with running_sink(url, **arguments, birth_delay_s=(0.01, 0.02)) as sink:
            sink.set_command_handler(handler)
            client, _ = server.accept()
            with client:
                client.recv(4096)
                client.sendall(bytes.fromhex("2003000000"))
                handler.wait(2)  # at the birth, and a while after it
                sink.close()
    assert persistent_state.get("sources", [""]) == ["line", "mic"]

"""A web sink with results of a pipeline, served on a free port, and requests to it."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.message import Message
from pathlib import Path
from typing import Any

from tests.sinks.mqtt_rig import JAZZ, MODEL, ROCK, SAMPLE_RATE, SOURCE_HEALTH

from genrewatch.audio.level import LevelConfig
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import Pipeline, SegmentResult, open_pipeline
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.web.config import WebConfig
from genrewatch.sinks.web.live_sources import SourceLabel
from genrewatch.sinks.web.node_api import Support
from genrewatch.sinks.web.sink import WebSink

NODE = "box"


def pipeline() -> Pipeline:
    """Return the shipped pipeline with the labels of the rig."""
    shipped = open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())
    return replace(shipped, manifest=MODEL)


@dataclass
class FakeControl:
    """A daemon that records commands."""

    called: list[tuple[Any, ...]] = field(default_factory=list)
    sources: dict[str, Any] = field(default_factory=dict)
    degraded: list[str] = field(default_factory=list)

    def health(self) -> dict[str, Any]:
        model = {"name": "net", "version": "1.2.0"}
        numbers = {
            "uptime_s": 90.1,
            "started": "2026-11-22T11:58:30.000Z",
            "cpu_s": 3.2,
            "real_time_factor": 25.5,
            "peak_rss_mb": 80.0,
            "segments": 40,
        }
        hooks = {"0": {"ran": 3, "failed": 1, "dropped": 0, "last_error": "exit code 1"}}
        history = {
            "stored": 3,
            "waiting": 1,
            "unsaved": 0,
            "dropped": 0,
            "undeliverable": 2,
            "head": "0a" * 32,
            "set_aside": None,
        }
        return {
            "version": "0.2.0",
            "model": model,
            "bundle_refused": None,
            **numbers,
            "lost_s": 0.5,
            "cpu_temperature_c": 51.4,
            "written_mb": 2.5,
            "degraded": self.degraded,
            "history": history,
            "hooks": hooks,
            "sources": self.sources,
        }

    def set_listening(self, source_id: str, on: bool) -> None:
        self.called.append(("listen", source_id, on))

    def set_bundle(self, name: str) -> None:
        self.called.append(("bundle", name))

    def publish_test_event(self, source_id: str) -> None:
        self.called.append(("test", source_id))


def source_health(**changed: Any) -> dict[str, Any]:
    """Return the diagnostics of a source."""
    return {**SOURCE_HEALTH, **changed}


@dataclass(kw_only=True)
class Answer:
    """A response."""

    status: int
    body: bytes
    headers: Message

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(kw_only=True)
class Served:
    """A sink that is served."""

    sink: WebSink
    control: FakeControl
    url: str

    def get(self, path: str, **headers: str) -> Answer:
        return request(self.url + path, headers=headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return request(self.url + path, data=data, headers={"X-Genrewatch": "1", **headers})

    def play(self, source_id: str, *results: SegmentResult) -> None:
        for result in results:
            self.sink.on_result(source_id, result)


def request(url: str, *, data: bytes | None = None, headers: dict[str, str], method: str | None = None) -> Answer:
    """Send a request; a refusal is an answer, too."""
    made = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(made, timeout=10) as response:
            return Answer(status=response.status, body=response.read(), headers=response.headers)
    except urllib.error.HTTPError as exc:
        return Answer(status=exc.code, body=exc.read(), headers=exc.headers)


@contextmanager
def served(
    *,
    sources: dict[str, str] | None = None,
    history: Path | None = None,
    mqtt: MqttConfig | None = None,
    support: Support | None = None,
    **config: Any,
) -> Iterator[Served]:
    """Serve sources (`mic` and `radio`) that play rock and jazz, online."""
    names = sources or {"mic": "Microphone", "radio": "Radio"}
    labels = {source_id: SourceLabel(name=name, kind="demo") for source_id, name in names.items()}
    mqtt = mqtt or MqttConfig(heartbeat_s=1)
    web = WebConfig(**{"port": 0, **config}).with_environment({})
    kept = PersistentState(None)
    sink = WebSink(web, mqtt, NODE, MODEL, labels, persistent_state=kept, history=history, support=support)
    control = FakeControl(sources={source_id: source_health() for source_id in names})
    used = pipeline()
    for number, source_id in enumerate(names):
        sink.on_stream(source_id, used)
        sink.on_disabled(source_id, False)
        sink.on_availability(source_id, True, "opened")
        sink.on_result(source_id, JAZZ if number % 2 else ROCK)
    sink.set_control(control)
    assert sink.start()
    try:
        yield Served(sink=sink, control=control, url=sink.url)
    finally:
        sink.close()


def later(result: SegmentResult, hops: int) -> SegmentResult:
    """Return a segment some hops of a second later."""
    return replace(result, start=result.start + hops * SAMPLE_RATE, end=result.end + hops * SAMPLE_RATE)


def until(condition: Any, longest_s: float = 20.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + longest_s
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.02)

"""Examples for small displays read topics that a node publishes and fields that it promises."""

import re
import subprocess
import sys
from pathlib import Path

from docs.scripts.payloads import messages
from tests.servers import Watcher
from tests.sinks.mqtt_rig import ROCK, SILENCE, running_sink
from tests.sinks.test_mqtt_payloads import schema

from genrewatch.sources.source import NowPlaying
from genrewatch_drill.servers.mosquitto import Mosquitto

DEPLOY = Path(__file__).parents[2] / "deploy"
TOPICS = {re.sub(r"<[a-z]+>", "+", message.topic) for message, _ in messages()}


def published(topic: str) -> bool:
    """Return whether a topic of the default base is published, with any node and source."""
    return re.sub(r"\$\{\w+\}", "+", topic).replace("genrewatch/", "+/", 1) in TOPICS


def types(field: str, of: str = "state") -> list[str]:
    found = schema(of)["properties"][field]
    if "$ref" in found:
        found = schema(of)["$defs"][found["$ref"].rpartition("/")[2]]
    kinds = found.get("type", "string")
    return [kinds] if isinstance(kinds, str) else kinds


def test_the_display_reads_promised_topics_and_fields_and_handles_null() -> None:
    text = (DEPLOY / "esphome" / "genre_display.yaml").read_text(encoding="utf-8")
    topics = re.findall(r"topic: (\S+)", text)
    assert len(topics) == 3
    assert all(map(published, topics))
    fields = set(re.findall(r'x\["(\w+)"\]', text))
    assert fields == {"text", "title", "confidence"}
    for field in fields:
        assert field in schema("state")["required"]
        assert ("null" in types(field)) == (f'x["{field}"].isNull()' in text), field


def test_the_python_example_prints_a_line_for_each_state_and_is_short(tmp_path: Path) -> None:
    program = DEPLOY / "examples" / "now_playing.py"
    code = program.read_text(encoding="utf-8").partition('"""\n\nimport')[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 24
    with Mosquitto(tmp_path) as broker, running_sink(broker.url, names={"mic": "Record player"}) as sink:
        sink.on_now_playing("mic", NowPlaying(title="So What"))
        sink.on_result("mic", ROCK)
        with Watcher(broker.port) as watcher:
            watcher.next("mic/state")
            command = [sys.executable, str(program), "127.0.0.1", str(broker.port)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
                try:
                    assert child.stdout is not None
                    assert child.stdout.readline() == "Record player: Rock 64% (So What)\n"
                    sink.on_now_playing("mic", NowPlaying())
                    sink.on_result("mic", SILENCE)
                    lines = [child.stdout.readline() for _ in range(2)]
                    assert lines == ["Record player: Rock 64%\n", "Record player: Silence\n"]
                finally:
                    child.kill()

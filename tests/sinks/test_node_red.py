"""The flows for Node-RED read topics that a node publishes and fields that the schemas promise, and run in Node.js."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from docs.scripts.payloads import messages
from tests.sinks.test_mqtt_payloads import EXAMPLES, schema

FOLDER = Path(__file__).parents[2] / "deploy"
FLOWS = ["node-red", "node-red-dashboard"]


def flow(name: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def functions(name: str) -> dict[str, str]:
    return {node["id"]: node["func"] for node in flow(name) if node["type"] == "function"}


def sources_of(name: str) -> dict[str, set[str]]:
    """Return the last levels of the topics that reach each node."""
    nodes = {node["id"]: node for node in flow(name)}
    found: dict[str, set[str]] = {node_id: set() for node_id in nodes}
    for node in nodes.values():
        if node["type"] != "mqtt in":
            continue
        waiting = [node["id"]]
        while waiting:
            for outputs in nodes[waiting.pop()].get("wires", []):
                for target in outputs:
                    found[target].add(node["topic"].rpartition("/")[2])
                    waiting.append(target)
    return found


@pytest.mark.parametrize("name", FLOWS)
def test_every_wire_and_reference_leads_to_a_node(name: str) -> None:
    nodes = {node["id"]: node for node in flow(name)}
    assert len(nodes) == len(flow(name))
    for node in nodes.values():
        for target in (target for outputs in node.get("wires", []) for target in outputs):
            assert target in nodes
        for key in ("z", "broker", "group", "page", "ui", "theme"):
            value = node.get(key)
            assert node["type"] == "mqtt-broker" or value is None or value in nodes, (node["id"], key)


@pytest.mark.parametrize("name", FLOWS)
def test_every_topic_is_one_that_a_node_publishes(name: str) -> None:
    published = {re.sub(r"<[a-z]+>", "+", message.topic) for message, _ in messages()}
    topics = [node["topic"].replace("genrewatch/", "+/", 1) for node in flow(name) if node["type"] == "mqtt in"]
    assert topics
    assert set(topics) <= published


@pytest.mark.parametrize("name", FLOWS)
def test_every_field_that_a_function_reads_is_promised(name: str) -> None:
    reached = sources_of(name)
    for node_id, code in functions(name).items():
        names = re.findall(r"\{ ([\w, :]+) \} = msg\.payload", code)
        fields = {field.partition(":")[0] for found in names for field in found.split(", ")}
        assert fields, node_id
        (topic,) = reached[node_id] - {"availability", "status"}
        assert fields <= set(schema(topic)["required"]), node_id


RUN = """
const functions = %s, examples = %s, results = {};
for (const [id, code] of Object.entries(functions)) {
    const kept = {};
    const flow = { get: (key) => kept[key], set: (key, value) => { kept[key] = value; } };
    const run = new Function("msg", "flow", `var node, context, global, env, RED;\\n${code}`);  // as in Node-RED
    results[id] = examples[id].map((msg) => run(msg, flow).payload);
}
console.log(JSON.stringify(results));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
@pytest.mark.parametrize("name", FLOWS)
def test_every_function_runs_on_payloads_of_a_node(name: str) -> None:
    reached = sources_of(name)
    examples = {
        node_id: [
            {"topic": f"genrewatch/box/{'' if topic == 'status' else 'mic/'}{topic}", "payload": payload}
            for topic in ("state", "event", "availability", "status")
            if topic in reached[node_id]
            for payload in EXAMPLES[topic]
        ]
        for node_id in functions(name)
    }
    program = RUN % (json.dumps(functions(name)), json.dumps(examples))
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    if name == "node-red":
        assert results["genrewatch.now"] == ["Microphone: Rock 64 % (So What)", "Microphone: Silence"]
    else:
        rows = [(row["Source"], row["Now"], row["Online"]) for ((row),) in results["genrewatch.ui.rows"]]
        playing = [("Microphone", "Rock", "yes"), ("Microphone", "Silence", "yes")]
        source_gone, node_gone = ("Microphone", "", "no"), ("Microphone", "", "no")
        assert rows == [*playing, source_gone, playing[1], node_gone, playing[1]]


def test_what_is_playing_shows_the_genre() -> None:
    playing = next(node for node in flow("node-red") if node["id"] == "genrewatch.playing")
    assert (playing["type"], playing["statusVal"], playing["tostatus"]) == ("debug", "payload", True)

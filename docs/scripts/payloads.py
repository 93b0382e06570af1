"""The reference of topics and payloads, read from `Topics` and from the JSON schemas."""

import inspect
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from docs.scripts.markdown import code, page, table

from genrewatch.daemon.config_file.tables import sentence
from genrewatch.sinks.mqtt.message import Message
from genrewatch.sinks.mqtt.topics import Topics

INTRODUCTION = """\
`<base>` is `mqtt.base` (default `genrewatch`), `<node>` the node's id, `<source>` a source's id and `<prefix>`
`mqtt.discovery_prefix` (default `homeassistant`). [MQTT](../mqtt.md) explains how the topics are used.
"""
FIELDS = """\
The JSON schemas are in `edge/genrewatch/schema`. Fields may be added in later versions, never removed or
changed. A field that is not marked *optional* is always present. `a.b` is field `b` of object `a`, `a.*` the
value of any key of `a`, and `a[]` any item of list `a`.
"""
ORDER = ("state", "votes", "event", "history", "correction", "health", "discovery")

Node = Mapping[str, Any]


def payloads_page() -> str:
    """Return the page of topics and of every payload's fields."""
    found = schemas()
    names = [name for name in ORDER if name in found] + [name for name in sorted(found) if name not in ORDER]
    parts = [part for name in names for part in _schema(name, found[name])]
    return page("Topics and payloads", INTRODUCTION, "## Topics", _topics(), _commands(), "## Payloads", FIELDS, *parts)


def _topics() -> str:
    rows = [_topic_row(message, meaning) for message, meaning in messages()]
    return table(("topic", "payload", "QoS", "retained", "meaning"), rows)


def messages() -> list[tuple[Message, str]]:
    """Return each message that a node publishes, made with placeholders, and its meaning."""
    topics = Topics(root="<base>/<node>", node="<node>", discovery_prefix="<prefix>")
    found = []
    for name, method in inspect.getmembers_static(Topics, inspect.isfunction):
        hints = inspect.get_annotations(method)
        if not name.startswith("_") and hints.get("return") is Message:
            made = getattr(topics, name)(**_placeholders(method, retain=True))
            found.append((made, (inspect.getdoc(method) or "").removeprefix("Return ")))
    return sorted(found, key=lambda pair: place_in_table(pair[0].topic))


def place_in_table(topic: str) -> tuple[bool, bool, str]:
    """Return the place of a topic in the table: the node's, then a source's, then other programs'."""
    return not topic.startswith("<base>"), "<source>" in topic, topic


def _placeholders(method: Any, *, retain: bool) -> dict[str, Any]:
    values = {
        "source": "<source>",
        "key": "<key>",
        "value": "",
        "payload": b"{}",
        "word": b"online",
        "online": True,
        "on": True,
        "retain": retain,
    }
    parameters = list(inspect.signature(method).parameters)[1:]
    return {name: values.get(name, 0) for name in parameters}


def _topic_row(message: Message, meaning: str) -> tuple[str, ...]:
    payload = f"JSON, schema {code(message.schema)}" if message.schema else "text"
    retained = "no" if not message.retain else "yes" if message.expiry_s is None else "MQTT 5 only, expires"
    return code(message.topic), payload, str(message.qos), retained, sentence(meaning)


def _commands() -> str:
    topics = Topics(root="<base>/<node>", node="<node>", discovery_prefix="<prefix>")
    rows = []
    for name, value in inspect.getmembers_static(Topics, lambda member: isinstance(member, property)):
        if not name.startswith("_"):
            topic = getattr(topics, name).replace("/+/", "/<source>/", 1).replace("/+/", "/<key>/")
            rows.append((code(topic), sentence(inspect.getdoc(value) or "")))
    return "The node subscribes to these:\n\n" + table(("topic", "meaning"), rows)


def schemas() -> dict[str, dict[str, Any]]:
    """Return every published schema by its name."""
    found = (files("genrewatch") / "schema").iterdir()
    texts = {path.name: path.read_text(encoding="utf-8") for path in found if path.name.endswith(".schema.json")}
    return {name.removesuffix(".schema.json"): json.loads(text) for name, text in sorted(texts.items())}


def _schema(name: str, schema: Node) -> Iterator[str]:
    yield f"### {name}"
    yield sentence(schema.get("description", "")).replace("<", "&lt;")
    rows = [row for row in fields(schema, schema, "") if row[0]]
    yield table(("field", "type", "meaning"), rows)


def fields(root: Node, place: Node, path: str, *, required: bool = True) -> Iterator[tuple[str, str, str]]:
    """Return path, type and meaning of a field and of all fields below it."""
    node = resolved(root, place)
    if path:
        yield code(path), types(node), sentence(node.get("description", "")) + ("" if required else " *Optional.*")
    for name, below in node.get("properties", {}).items():
        if below is not False:
            needed = name in node.get("required", ())
            yield from fields(root, below, f"{path}.{name}".lstrip("."), required=needed)
    if isinstance(node.get("additionalProperties"), dict):
        yield from fields(root, node["additionalProperties"], f"{path}.*")
    if "properties" in node.get("items", {}):
        yield from fields(root, node["items"], f"{path}[]")
    for branch in node.get("oneOf", ()):
        if "$ref" in branch:
            yield from fields(root, branch, f"{path}<{branch['$ref'].rsplit('/', 1)[1]}>")


def resolved(root: Node, place: Node) -> dict[str, Any]:
    """Return a part of a schema with its references replaced by what they refer to."""
    node = dict(place)
    while (reference := node.pop("$ref", None)) is not None:
        target: Any = root
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        node = {**target, **node}
    return node


def types(node: Node) -> str:
    """Return the JSON type of a field, or the values that it can have."""
    if "const" in node:
        return code(json.dumps(node["const"]))
    if "enum" in node:
        return " ".join(code(json.dumps(value)) for value in node["enum"])
    found = node.get("type", "object" if "oneOf" in node else "any")
    kinds = [found] if isinstance(found, str) else list(found)
    if "items" in node and "type" in node["items"]:
        kinds = [f"array of {types(node['items'])}" if kind == "array" else kind for kind in kinds]
    return " or ".join(kinds) + _range(node)


def _range(node: Node) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", at least {low}" if low is not None else ""

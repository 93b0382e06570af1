"""The payloads' schemas keep every earlier promise, and the check detects a broken one."""

import copy
import json
from typing import Any

import pytest
from tests.contract.promises import SNAPSHOT, broken, promises, schemas

PROMISED = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["level", "reason", "sources"],
    "properties": {
        "level": {"type": ["number", "null"]},
        "reason": {"enum": ["majority", "refused"]},
        "sources": {"type": "object", "additionalProperties": {"$ref": "#/$defs/source"}},
        "notes": {"type": "array", "items": {"type": "string"}},
        "parts": {"oneOf": [{"$ref": "#/$defs/source"}, {"$ref": "#/$defs/tape"}]},
    },
    "$defs": {
        "source": {"type": "object", "required": ["lost"], "properties": {"lost": {"type": "number"}}},
        "tape": {"type": "object", "properties": {"side": {"const": "A"}}},
    },
}


def changed(path: str, value: object = None) -> dict[str, Any]:
    """A copy of SCHEMA with another value at `a/b/c`, or without any."""
    made = copy.deepcopy(SCHEMA)
    *above, last = path.split("/")
    place = made
    for level in above:
        place = place[level]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return made


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_no_schema_breaks_a_promise(name: str) -> None:
    assert name in schemas(), "a schema has vanished"
    assert broken(PROMISED[name], promises(schemas()[name])) == []


def test_the_snapshot_holds_every_present_promise() -> None:
    today = {name: promises(schema) for name, schema in schemas().items()}
    assert today == PROMISED, "`python -m tests.contract.promises` adds new promises to the snapshot"


def test_a_promise_holds_types_words_and_presence_at_every_depth() -> None:
    found = promises(SCHEMA)
    assert found["level"] == {"types": ["null", "number"], "words": None, "required": True}
    assert found["reason"] == {"types": ["string"], "words": ["majority", "refused"], "required": True}
    assert found["sources.*.lost"] == {"types": ["number"], "words": None, "required": True}
    assert found["notes[]"] == {"types": ["string"], "words": None, "required": False}
    assert found["parts<tape>.side"] == {"types": ["string"], "words": ["A"], "required": False}


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        (changed("properties/level"), "level has vanished"),
        (changed("$defs/source/properties/lost"), "sources.*.lost has vanished"),
        (changed("properties/notes/items"), "notes[] has vanished"),
        (changed("properties/parts/oneOf", [{"$ref": "#/$defs/tape"}]), "parts<source> has vanished"),
        (changed("properties/level/type", "number"), "level was null|number and is number"),
        (
            changed("$defs/source/properties/lost/type", ["number", "null"]),
            "sources.*.lost was number and is null|number",
        ),
        (changed("properties/level/type"), "level was null|number and is anything"),
        (changed("properties/reason/enum", ["majority"]), "reason is never refused any more"),
        (changed("properties/reason", {"type": "string"}), "reason is never majority, refused any more"),
        (changed("$defs/tape/properties/side/const", "B"), "parts<tape>.side is never A any more"),
        (changed("properties/notes/items/enum", ["x"]), "notes[] was free and is one of x"),
        (changed("required", ["level", "reason"]), "sources is not always there any more"),
        (changed("$defs/source/required"), "sources.*.lost is not always there any more"),
    ],
)
def test_a_broken_promise_is_found(schema: dict[str, Any], line: str) -> None:
    assert line in broken(promises(SCHEMA), promises(schema))


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA,
        changed("properties/title", {"type": "string"}),
        changed("$defs/source/properties/title", {"type": "string"}),
        changed("properties/reason/enum", ["majority", "refused", "off"]),
        changed("required", ["level", "reason", "sources", "notes"]),
        changed("properties/level/description", "of the newest sound"),
    ],
)
def test_a_schema_that_promises_more_breaks_nothing(schema: dict[str, Any]) -> None:
    assert broken(promises(SCHEMA), promises(schema)) == []

"""Promises of the JSON Schemas to the readers of a payload: fields, types, values, and which fields are always present.

Schemas may promise more from one version to the next, never less. `promises.json` beside this file holds the promises
so far; `python -m tests.contract.promises` adds new ones, and exits with 1 if one is broken.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).with_name("promises.json")
Promise = dict[str, Any]
"""`types`: JSON types, sorted; `words`: values of an enum or const, or None; `required`: always present."""


def schemas() -> dict[str, dict[str, Any]]:
    """Return every published schema by its name."""
    found = (files("genrewatch") / "schema").iterdir()
    return {
        path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(found, key=lambda path: path.name)
    }


def promises(schema: Mapping[str, Any]) -> dict[str, Promise]:
    """Return a promise for each field: `sources.*.lost_s` (any key), `degraded[]`, `components.*<sensor>.icon`."""
    return dict(_walk(schema, schema, "", required=True))


def _walk(root: Mapping[str, Any], place: Any, path: str, *, required: bool) -> Iterator[tuple[str, Promise]]:
    node = _resolved(root, place)
    if path:
        yield path, _promise(node, required)
    for name, below in node.get("properties", {}).items():
        if below is not False:
            yield from _walk(root, below, f"{path}.{name}".lstrip("."), required=name in node.get("required", ()))
    if isinstance(node.get("additionalProperties"), dict):
        yield from _walk(root, node["additionalProperties"], f"{path}.*", required=False)
    if "items" in node:
        yield from _walk(root, node["items"], f"{path}[]", required=False)
    for branch in node.get("oneOf", ()):
        if "$ref" in branch:  # a branch without a name only restricts earlier promises
            yield from _walk(root, branch, f"{path}<{branch['$ref'].rsplit('/', 1)[1]}>", required=False)


def _resolved(root: Mapping[str, Any], place: Any) -> dict[str, Any]:
    node = dict(place)
    while (ref := node.pop("$ref", None)) is not None:
        target: Any = root
        for step in ref.removeprefix("#/").split("/"):
            target = target[step]
        node = {**target, **node}
    return node


def _promise(node: Mapping[str, Any], required: bool) -> Promise:
    words = list(node["enum"]) if "enum" in node else [node["const"]] if "const" in node else None
    types = node.get("type", [])
    if words is not None and not types:
        types = sorted({_json_type(word) for word in words})
    return {"types": sorted([types] if isinstance(types, str) else types), "words": words, "required": required}


def _json_type(value: object) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return names[type(value)]


def broken(before: Mapping[str, Promise], now: Mapping[str, Promise]) -> list[str]:
    """Return a line for each promise of `before` that `now` does not keep."""
    lines = []
    for path, old in before.items():
        new = now.get(path)
        if new is None:
            lines.append(f"{path} has vanished")
            continue
        if new["types"] != old["types"]:
            lines.append(f"{path} was {'|'.join(old['types'])} and is {'|'.join(new['types']) or 'anything'}")
        if gone := [word for word in old["words"] or () if word not in (new["words"] or ())]:
            lines.append(f"{path} is never {', '.join(map(str, gone))} any more")
        if old["words"] is None and new["words"] is not None:
            lines.append(f"{path} was free and is one of {', '.join(map(str, new['words']))}")
        if old["required"] and not new["required"]:
            lines.append(f"{path} is not always there any more")
    return lines


def main() -> int:
    """Write the present promises; return 1 if an earlier one is broken."""
    before = json.loads(SNAPSHOT.read_text(encoding="utf-8")) if SNAPSHOT.exists() else {}
    now = {name: promises(schema) for name, schema in schemas().items()}
    lines = [f"{name}: {line}" for name, old in before.items() for line in broken(old, now.get(name, {}))]
    print(*lines, sep="\n", end="\n" if lines else "")
    if not lines:
        SNAPSHOT.write_text(_text(now), encoding="utf-8")
    return 1 if lines else 0


def _text(now: Mapping[str, Mapping[str, Promise]]) -> str:
    """Return JSON with one line for each promise, for readable diffs."""
    blocks = []
    for name, fields in now.items():
        lines = [f"    {json.dumps(path)}: {json.dumps(fields[path], ensure_ascii=False)}" for path in sorted(fields)]
        blocks.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())

"""The OpenAPI description of the web API, made from the payloads' schemas; served at `api/v1/openapi.json`."""

import json
from collections.abc import Sequence
from typing import Any

from docs.scripts.payloads import schemas

from genrewatch import __version__

PATH = "edge/genrewatch/sinks/web/page/openapi.json"
TIME = "2026-11-24, '2026-11-24 18:00', RFC 3339, or a time ago: 30min, 2h, 3d"
NULL = {"type": "null"}
ID = "[A-Za-z0-9_-]{1,64}"
IDS = {"type": "string", "pattern": f"^({ID}(,{ID}){{0,199}})?$"}


def openapi() -> str:
    """Return the description as JSON."""
    return json.dumps(_description(), indent=1, ensure_ascii=False) + "\n"


def _description() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "genrewatch", "version": __version__, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "."}],
        "paths": _paths(),
        "components": {
            "schemas": _components(),
            "securitySchemes": {"password": {"type": "http", "scheme": "basic"}},
        },
        "security": [{}, {"password": []}],
    }


def _paths() -> dict[str, Any]:
    """Return the reads and writes of each path; `/doctor` has both."""
    reads, writes = _reads(), _writes()
    return {path: {**reads.get(path, {}), **writes.get(path, {})} for path in {**reads, **writes}}


def _reads() -> dict[str, Any]:
    selection = [
        _query("since", TIME),
        _query("until", TIME),
        _query("source", "Ids joined by commas; default all", IDS),
    ]
    spells = [*selection, _query("verdict", "A genre, or a reason without one")]
    page = [
        _query("limit", "Spells in the answer", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        _query("after", "`next` of the page before", {"type": "integer", "minimum": 0, "default": 0}),
        _query("open", "`no` leaves out spells that have not ended", {"enum": ["yes", "no"], "default": "yes"}),
    ]
    by = _query("by", "A row", {"enum": ["hour", "day", "week", "month", "source"], "default": "day"})
    return {
        "/state": _get("The newest state of every source.", _ref("States")),
        "/health": _get("Diagnostics of the node now.", _ref("health")),
        "/sources": _get("Every source with its newest state, votes and ballots.", _ref("Sources")),
        "/spells": _get("Spells, the oldest first.", _ref("Spells"), [*spells, *page], may_fail=True),
        "/spells.csv": _get("Spells as CSV.", None, spells, type_="text/csv", may_fail=True),
        "/report": _get("Airtime, as `genrewatch report --json`.", _ref("Report"), [by, *selection], may_fail=True),
        "/report.csv": _get("Airtime as CSV.", None, [by, *selection], type_="text/csv", may_fail=True),
        "/events": _get(
            "Server-Sent Events: `state`, `votes`, `event` and `health`, as in MQTT, `availability` and `listen`.",
            None,
            type_="text/event-stream",
        ),
        "/corrections": _get("Corrections, the newest of each spell.", _ref("Corrections"), may_fail=True),
        "/bundles": _get("Bundles that may be chosen.", _ref("Bundles")),
        "/doctor": _get("The last result of the checks of `genrewatch doctor`.", _ref("Doctor")),
        "/diagnosis.zip": _get(
            "Health, settings, log and checks in one file, without secrets.", None, type_="application/zip"
        ),
        "/openapi.json": _get("This description.", {"type": "object"}),
    }


def _writes() -> dict[str, Any]:
    source = {"type": "string", "description": "Id of a source."}
    on = {"type": "boolean", "description": "False stops reading its sound."}
    name = {"type": "string", "description": "Name of a bundle in mqtt.bundles."}
    seq = {"type": ["integer", "null"], "minimum": 1, "description": "Number of the spell; null: the one at present."}
    label = {"type": ["string", "null"], "minLength": 1, "maxLength": 64}
    label |= {"description": "What it was, printable; null withdraws earlier corrections."}
    return {
        "/listen": _post("Switch a source on or off.", {"source": source, "on": on}),
        "/bundle": _post("Use another model, if mqtt.bundles is set.", {"name": name}),
        "/doctor": _post("Start the checks of `genrewatch doctor`; GET shows the result.", {}),
        "/correct": _post(
            "Say what a spell really was.", {"source": source, "seq": seq, "label": label}, ("source", "label")
        ),
        "/test-event": _post("Send an event `test` to broker, hooks and viewers.", {"source": source}),
    }


def _get(
    summary: str,
    schema: dict[str, Any] | None,
    parameters: list[dict[str, Any]] | None = None,
    *,
    type_: str = "application/json",
    may_fail: bool = False,
) -> dict[str, Any]:
    good = {"description": summary, "content": {type_: {"schema": schema or {"type": "string"}}}}
    responses = {"200": good, **{code: _error(code) for code in (("400", "404", "503") if may_fail else ("400",))}}
    return {"get": {"summary": summary, "parameters": parameters or [], "responses": responses}}


def _post(summary: str, properties: dict[str, Any], required: Sequence[str] | None = None) -> dict[str, Any]:
    header = {"name": "X-Genrewatch", "in": "header", "required": True, "schema": {"type": "string"}, "example": "1"}
    body = {"type": "object", "required": list(required or properties), "properties": properties}
    accepted = {"type": "object", "required": ["accepted"], "properties": {"accepted": {"const": True}}}
    good = {
        "description": "Accepted; the events show the result.",
        "content": {"application/json": {"schema": accepted}},
    }
    responses = {"202": good, **{code: _error(code) for code in ("400", "403", "404", "409", "413", "503", "507")}}
    content = {"required": True, "content": {"application/json": {"schema": body}}}
    return {"post": {"summary": summary, "parameters": [header], "requestBody": content, "responses": responses}}


def _error(code: str) -> dict[str, Any]:
    reasons = {"400": "A wrong value.", "403": "Not allowed.", "404": "No such thing.", "409": "Not in this state."}
    reasons |= {"413": "Too long.", "503": "Not at present.", "507": "No room."}
    return {"description": reasons[code], "content": {"application/json": {"schema": _ref("Error")}}}


def _query(name: str, text: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema or {"type": "string"}}


def _components() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, schema in schemas().items():
        if name == "discovery":
            continue
        for part, definition in schema.get("$defs", {}).items():
            found[f"{name}.{part}"] = _moved(definition, name)
        found[name] = _moved({k: v for k, v in schema.items() if k not in ("$schema", "$id", "$defs")}, name)
    spell = {**found["history"], "required": [key for key in found["history"]["required"] if key not in _OPEN]}
    spell["description"] = "A spell as stored; one that has not ended has `open` and neither `seq` nor hashes."
    return {**found, "Spell": spell, **_envelopes()}


_OPEN = ("seq", "prev", "hash", "backfilled")
"""Fields that a spell gets when it ends, or when it is delivered."""


_CORRECTION = {
    **{key: {"type": "string"} for key in ("ts", "source", "start", "reason", "label", "by")},
    **{key: {"type": ["string", "null"]} for key in ("end", "genre")},
    "seq": {"type": ["integer", "null"], "minimum": 1},
}


def _envelopes() -> dict[str, Any]:
    seconds = {"type": "number", "minimum": 0}
    text, yes = {"type": "string"}, {"type": "boolean"}
    lists = {"type": "array", "items": text}
    source = {"id": text, "name": text, "kind": text, "online": yes, "listening": yes, "ballots": lists}
    source |= {"segments": {"type": "integer", "minimum": 1}}
    source |= {name: {"anyOf": [_ref(name), NULL]} for name in ("state", "votes")}
    maybe = {"type": ["string", "null"]}
    check = _object({"name": text, "result": {"enum": ["ok", "absent", "wrong"]}, "detail": text})
    kinds = ("listened_s", "silence_s", "dead_air_s", "not_music_s", "refused_s", "warming_up_s", "lost_s")
    amounts = {**dict.fromkeys(kinds, seconds), "genres_s": {"type": "object", "additionalProperties": seconds}}
    row = {**_object(amounts), "description": "Exact seconds; with `start` and `end`, or with `name` of a source."}
    following = {"type": ["integer", "null"], "description": "`after` of the next page; null on the last."}
    return {
        "Error": _object({"error": text}),
        "States": _envelope({"states": {"type": "array", "items": _ref("state")}}),
        "Bundles": _envelope({"bundles": lists}),
        "Corrections": _envelope({"corrections": {"type": "array", "items": _object(_CORRECTION)}}),
        "Doctor": _envelope({"running": yes, "ts": maybe, "error": maybe, "checks": {"type": "array", "items": check}}),
        "Sources": _envelope(
            {"version": text, "labels": lists, "bundles": yes, "sources": {"type": "array", "items": _object(source)}}
        ),
        "Spells": _envelope({"spells": {"type": "array", "items": _ref("Spell")}, "next": following}),
        "Report": _envelope({"by": text, "rows": {"type": "array", "items": row}, "total": row}),
    }


def _envelope(properties: dict[str, Any]) -> dict[str, Any]:
    return _object({"v": {"const": 1}, "node": {"type": "string"}, **properties})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _moved(part: Any, name: str) -> Any:
    """Return a part of a payload's schema with its references made to fit."""
    if isinstance(part, dict):
        return {key: _moved_value(key, value, name) for key, value in part.items()}
    return [_moved(item, name) for item in part] if isinstance(part, list) else part


def _moved_value(key: str, value: Any, name: str) -> Any:
    if key == "$ref" and isinstance(value, str):
        return f"#/components/schemas/{name}.{value.rsplit('/', 1)[1]}"
    return _moved(value, name)

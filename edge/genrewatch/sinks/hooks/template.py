"""Templates of a hook: body, headers and title with `$name` or `${name}` for the fields of the event.

Templates only insert fields; they hold no expressions. A value is escaped for the place where it is inserted, since a
station chooses its title: as in a JSON string, in a form, or without control characters in a header.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from string import Template
from typing import Any
from urllib.parse import quote_plus

from genrewatch.contract.errors import ConfigError, require
from genrewatch.contract.verdict_text import label_text
from genrewatch.host.untrusted_text import one_line

EVENT_TEXTS = {
    "genre_changed": "$genre_text is playing",
    "dead_air": "silence",
    "sound_returned": "sound is back",
    "stalled": "no sound arrives",
    "resumed": "sound arrives again",
    "unexpected_genre": "not the expected genre",
    "expected_genre": "the expected genre is back",
    "test": "a test",
}
PAYLOAD_FIELDS = (
    *("node", "source", "name", "ts", "event_type", "genre", "previous_genre", "reason", "confidence", "level_dbfs"),
    *("station", "title", "model", "version"),
)
"""Fields of the event's payload."""
FIELDS = (*PAYLOAD_FIELDS, "genre_text", "time", "message")
"""Fields that a template may name."""
JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"
MESSAGE = "$message"


def check_template(text: str, key: str) -> None:
    """Raise ConfigError naming `key` for a template with a field that there is not, or a single `$`."""
    template = Template(text)
    require(template.is_valid(), key, "a $ that names no field", "$name, ${name}, or $$ for a $")
    for name in template.get_identifiers():
        require(name in FIELDS, key, f"${name}", "some of " + ", ".join(FIELDS))


def fields_of(payload: Mapping[str, Any]) -> dict[str, str]:
    """Return the value of every field of a template; empty for null."""
    found = {name: "" if (value := payload.get(name)) is None else str(value) for name in PAYLOAD_FIELDS}
    found["genre_text"] = label_text(found["genre"]) if found["genre"] else ""
    found["time"] = datetime.fromisoformat(payload["ts"]).astimezone().strftime("%H:%M")
    what = Template(EVENT_TEXTS.get(found["event_type"], "$event_type")).substitute(found)
    found["message"] = f"{found['name']}: {what}"
    return found


def render(text: str, fields: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    """Insert the escaped fields; the template has been checked."""
    return Template(text).substitute({name: escape(value) for name, value in fields.items()})


def escape_of(content_type: str) -> Callable[[str], str]:
    """Return the function that escapes a value for a body of this type."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON_TYPE or kind.endswith("+json"):
        return lambda value: json.dumps(value, ensure_ascii=False)[1:-1]
    return quote_plus if kind == FORM_TYPE else str


def check_body(text: str, content_type: str, key: str) -> None:
    """Raise ConfigError naming `key` for a template that cannot make a body of this type."""
    check_template(text, key)
    if escape_of(content_type)('"') == '\\"':
        try:
            json.loads(render(text, dict.fromkeys(FIELDS, "")))  # a field can be empty
        except ValueError as exc:
            raise ConfigError(key, f"not JSON ({exc})", 'JSON with every field in quotes: "$title"') from None


def header_value(text: str, fields: Mapping[str, str]) -> bytes:
    """Return the value of a header in UTF-8, on one line."""
    return one_line(render(text, fields)).encode()

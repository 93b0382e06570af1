"""The commands that the page sends: POST with our own header."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from genrewatch.contract.ids import is_id
from genrewatch.sinks.web.guard import Refused

MAX_BODY_BYTES = 4096


class Control(Protocol):
    """The part of the daemon that the web server uses; calls do not block."""

    def health(self) -> dict[str, Any]:
        """Return the diagnostics of the node."""

    def set_listening(self, source_id: str, on: bool) -> None:
        """Switch a source on or off."""

    def set_bundle(self, name: str) -> None:
        """Change the model."""

    def publish_test_event(self, source_id: str) -> None:
        """Send an event `test` to broker, hooks and viewers."""


class Commands:
    """Checks commands and passes them to the daemon."""

    def __init__(self, control: Control, source_ids: Collection[str], *, bundles: bool) -> None:
        """`bundles` is true if the configuration allows another model."""
        self._control, self._source_ids, self._bundles = control, source_ids, bundles

    def listen(self, body: Mapping[str, Any]) -> None:
        """Switch a source on or off: `{"source": ID, "on": true}`."""
        on = body.get("on")
        if not isinstance(on, bool):
            raise Refused("400 Bad Request", "on: expected true or false")
        self._control.set_listening(self._source(body), on)

    def bundle(self, body: Mapping[str, Any]) -> None:
        """Use another model: `{"name": NAME}`."""
        if not self._bundles:
            raise Refused("403 Forbidden", "mqtt.bundles in the configuration does not allow other bundles")
        name = body.get("name")
        if not isinstance(name, str) or not is_id(name):
            raise Refused("400 Bad Request", "name: expected the name of a bundle in mqtt.bundles")
        self._control.set_bundle(name)

    def test_event(self, body: Mapping[str, Any]) -> None:
        """Send a test event: `{"source": ID}`."""
        self._control.publish_test_event(self._source(body))

    def _source(self, body: Mapping[str, Any]) -> str:
        source = body.get("source")
        if not isinstance(source, str) or source not in self._source_ids:
            raise Refused("404 Not Found", "source: no such source")
        return source


def json_body(request: Mapping[str, Any]) -> dict[str, Any]:
    """Read a request's body, a small JSON object; raises Refused."""
    data = request["wsgi.input"].read(MAX_BODY_BYTES + 1)
    if len(data) > MAX_BODY_BYTES:
        raise Refused("413 Content Too Large", f"more than {MAX_BODY_BYTES} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused("400 Bad Request", "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Refused("400 Bad Request", "the body is not a JSON object")
    return body

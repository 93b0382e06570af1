"""The rendering of a hook: an event's payload as the body, the headers and the title that its templates make."""

import json
from collections.abc import Mapping, Sequence

from genrewatch.sinks.events import Event
from genrewatch.sinks.hooks.action import Outcome
from genrewatch.sinks.hooks.command import Command
from genrewatch.sinks.hooks.config import HookConfig
from genrewatch.sinks.hooks.template import MESSAGE, escape_of, fields_of, header_value, render


class Rendering:
    """Renders the templates of one hook; without templates, the payload is the body."""

    def __init__(self, config: HookConfig) -> None:
        self._config = config

    def body(self, payload: bytes) -> bytes:
        """Return the body for a command or a URL."""
        if self._config.body is None:
            return payload
        return render(self._config.body, _fields(payload), escape_of(self._config.content_type)).encode()

    def headers(self, payload: bytes) -> Mapping[str, str | bytes]:
        """Return the headers for a URL."""
        fields = _fields(payload) if self._config.headers else {}
        given = {name: header_value(text, fields) for name, text in self._config.headers.items()}
        return {"Content-Type": self._config.content_type, **given}

    def text(self, payload: bytes) -> str:
        """Return the text of a notification."""
        return render(self._config.body or MESSAGE, _fields(payload))

    def title(self, payload: bytes) -> str:
        """Return the title of a notification."""
        return render(self._config.title, _fields(payload))


class RenderedCommand(Command):
    """A command whose standard input a template makes."""

    def __init__(self, words: Sequence[str], rendering: Rendering, timeout_s: float) -> None:
        super().__init__(words, timeout_s)
        self._rendering = rendering

    def run(self, event: Event, body: bytes) -> Outcome:
        """See `Action`."""
        return super().run(event, self._rendering.body(body))


def _fields(payload: bytes) -> dict[str, str]:
    return fields_of(json.loads(payload))

"""The settings of a daemon as others may see them: without passwords, arguments of commands, and paths of URLs.

A field that its dataclass leaves out of its repr is secret; of some of them a part can be shown.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from genrewatch.daemon.config import ListenConfig
from genrewatch.host.shell_words import split_command
from genrewatch.host.untrusted_text import redact_urls

REMOVED = "removed"


def shown_config(config: ListenConfig) -> dict[str, Any]:
    """Return all settings as JSON fields, with the secrets replaced by `removed`."""
    return _shown_fields(config)


def _shown_fields(item: Any) -> dict[str, Any]:
    return {field.name: _shown(field.name, getattr(item, field.name), secret=not field.repr) for field in fields(item)}


def _shown(name: str, value: Any, *, secret: bool) -> Any:
    if is_dataclass(value):
        return _shown_fields(value)
    if isinstance(value, list | tuple):
        return [_shown(name, one, secret=secret) for one in value]
    if secret and value:
        part = _PARTS.get(name)
        return part(value) if part else REMOVED
    if name == "uri":
        return _shown_uri(value)
    return redact_urls(value) if isinstance(value, str) else value


def _program(command: str) -> str:
    """Return the program of a command without its arguments."""
    return f"{split_command(command, 'command')[0]} {REMOVED}"


def _scheme(url: str) -> str:
    """Return a service's URL without its host, which can be a token."""
    return f"{url.partition(':')[0]}://{REMOVED}"


_PARTS: Mapping[str, Callable[[str], str]] = {"command": _program, "url": redact_urls, "notify": _scheme}
"""The secret settings of which a part is shown."""


def _shown_uri(uri: str) -> str:
    """Return a source's URI without what may be secret: a command's arguments, a URL's login, path and query."""
    kind, _, rest = uri.partition(":")
    return f"cmd:{rest.split(maxsplit=1)[0]} {REMOVED}" if kind == "cmd" and rest.strip() else redact_urls(uri)

"""The settings of a daemon as others may see them: without passwords, arguments of commands, and paths of URLs."""

from dataclasses import asdict, fields
from typing import Any

from genrewatch.daemon.config import ListenConfig
from genrewatch.host.shell_words import split_command
from genrewatch.host.untrusted_text import redact_urls

REMOVED = "removed"
SECRET_WORDS = ("password", "token", "secret", "header", "key", "body", "notify")
"""Parts of the names of keys whose values are left out."""


def shown_config(config: ListenConfig) -> dict[str, Any]:
    """Return all settings as JSON fields, with the secrets replaced by `removed`."""
    shown = {name: _shown(name, value) for name, value in asdict(config).items()}
    return {field.name: shown[field.name] for field in fields(config)}


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        secret = _is_secret(name)
        return {key: REMOVED if secret else _shown(key, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(name, inner) for inner in value]
    if value is not None and _is_secret(name):
        return REMOVED
    if name == "command" and isinstance(value, str):
        return f"{split_command(value, name)[0]} {REMOVED}"
    if name == "uri" and isinstance(value, str):
        return _shown_uri(value)
    return redact_urls(value) if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    return any(word in name for word in SECRET_WORDS)


def _shown_uri(uri: str) -> str:
    """Return a source's URI without what may be secret: a command's arguments, a URL's login, path and query."""
    kind, _, rest = uri.partition(":")
    return f"cmd:{rest.split(maxsplit=1)[0]} {REMOVED}" if kind == "cmd" and rest.strip() else redact_urls(uri)

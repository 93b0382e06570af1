"""A `[[hook]]` table: a command to run or a URL to call on events.

It is checked when it is decoded: otherwise a mistake would show only when the event happens.
"""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from genrewatch.contract.errors import ConfigError, require
from genrewatch.host.shell_words import split_command
from genrewatch.sinks.events import EVENT_TYPES, EventType

URL_FORM = "http://HOST[:PORT]/PATH or https://..., printable ASCII"


@dataclass(frozen=True, kw_only=True)
class HookConfig:
    """One hook: events, and the command or the URL that receives them."""

    on: tuple[EventType, ...]
    """Events that trigger it: genre_changed, dead_air, sound_returned, stalled, resumed, test; test triggers every
    hook."""
    command: str | None = field(default=None, repr=False)
    """Program and arguments, quoted as in a shell but run without one; it gets the event on standard input."""
    url: str | None = field(default=None, repr=False)
    """URL to post the event to, instead of a command; `user:password@` before the host becomes a basic login."""
    sources: tuple[str, ...] = ()
    """Ids of the sources that trigger it; default all."""
    timeout_s: float = 10.0
    """Time limit of the command or of the answer, 0.1 to 300 s."""

    def __post_init__(self) -> None:
        known = ", ".join(EVENT_TYPES)
        require(bool(self.on), "on", "an empty list", f"some of {known}")
        for event in self.on:
            require(event in EVENT_TYPES, "on", repr(event), f"some of {known}")
        require((self.command is None) != (self.url is None), "command", self._both_or_none(), "one of command and url")
        require(0.1 <= self.timeout_s <= 300, "timeout_s", self.timeout_s, "0.1 to 300")
        if self.command is not None:
            split_command(self.command, "command")
        if self.url is not None:
            split_url(self.url)

    def _both_or_none(self) -> str:
        return "neither command nor url" if self.command is None else "command and url"

    @property
    def target(self) -> str:
        """Program or server, without arguments, path and query, which may hold secrets."""
        if self.command is not None:
            return split_command(self.command, "command")[0]
        parts = split_url(self.url or "")
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def split_url(url: str) -> SplitResult:
    """Split an http(s) URL; raises ConfigError that repeats only its scheme and host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:  # UnicodeError is one
        raise ConfigError("url", "is no URL", URL_FORM) from None
    require(parts.scheme in ("http", "https"), "url", f"scheme {parts.scheme!r}", URL_FORM)
    require(bool(host) and port != 0, "url", "no host or port", URL_FORM)
    require(url.isascii() and url.isprintable() and " " not in url, "url", "other characters", URL_FORM)
    return parts

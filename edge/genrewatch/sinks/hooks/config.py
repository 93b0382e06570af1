"""A `[[hook]]` table: a command to run, a URL to call or a notification to send on events.

It is checked when it is decoded: otherwise a mistake would show only when the event happens.
"""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from genrewatch.contract.errors import ConfigError, require
from genrewatch.host.local_hours import check_hours
from genrewatch.host.shell_words import split_command
from genrewatch.sinks.events import EVENT_TYPES, EventType
from genrewatch.sinks.hooks.template import JSON_TYPE, check_body, check_template

TEXT_TYPE = "text/plain; charset=utf-8"
OWN_HEADERS = ("host", "content-length", "transfer-encoding", "connection")
"""Headers that a hook cannot set."""
URL_FORM = "http://HOST[:PORT]/PATH or https://..., printable ASCII"


@dataclass(frozen=True, kw_only=True)
class HookConfig:
    """One hook: events, and the command, the URL or the services that receive them."""

    on: tuple[EventType, ...]
    """Events that trigger it: genre_changed, dead_air, sound_returned, stalled, resumed, unexpected_genre,
    expected_genre, test; test triggers every hook."""
    command: str | None = field(default=None, repr=False)
    """Program and arguments, quoted as in a shell but run without one; it gets the event on standard input."""
    url: str | None = field(default=None, repr=False)
    """URL to post the event to, instead of a command; `user:password@` before the host becomes a basic login."""
    notify: tuple[str, ...] = field(default=(), repr=False)
    """Apprise URLs to notify, instead of a command or a URL, as `ntfy://TOPIC`; needs the extra `notify`."""
    body: str | None = field(default=None, repr=False)
    """Template of the body, with fields of the event as `$genre`; default the event as JSON, for `notify` a
    sentence."""
    title: str = "genrewatch"
    """Template of a notification's title."""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """Headers of the call of the URL, each a template."""
    sources: tuple[str, ...] = ()
    """Ids of the sources that trigger it; default all."""
    hours: tuple[str, ...] = ()
    """Local hours in which it runs, as `20:00-23:00`, `mon-fri 22:00-06:00`; default always."""
    min_duration_s: float = 0.0
    """Time that dead air, a stall or a genre must last before it runs, 0 to 86400 s."""
    cooldown_s: float = 0.0
    """Time after a run in which the same event of the same source does not run it again, 0 to 86400 s."""
    timeout_s: float = 10.0
    """Time limit of the command or of the answer, 0.1 to 300 s."""

    def __post_init__(self) -> None:
        known = ", ".join(EVENT_TYPES)
        require(bool(self.on), "on", "an empty list", f"some of {known}")
        for event in self.on:
            require(event in EVENT_TYPES, "on", repr(event), f"some of {known}")
        given = [key for key in ("command", "url", "notify") if getattr(self, key)]
        found = " and ".join(given) or "neither command nor url nor notify"
        require(len(given) == 1, "command", found, "one of command, url and notify")
        require(0.1 <= self.timeout_s <= 300, "timeout_s", self.timeout_s, "0.1 to 300")
        if self.command is not None:
            split_command(self.command, "command")
        if self.url is not None:
            split_url(self.url)
        self._check_templates()
        self._check_conditions()

    def _check_templates(self) -> None:
        if self.body is not None:
            check_body(self.body, self.content_type, "body")
        check_template(self.title, "title")
        require(not self.headers or self.url is not None, "headers", "no url", "headers for a url only")
        for name, text in self.headers.items():
            valid = name.isascii() and name.replace("-", "").isalnum() and name.lower() not in OWN_HEADERS
            require(valid, "headers", repr(name), "the name of a header, not of one that genrewatch sets")
            check_template(text, f"headers.{name}")

    def _check_conditions(self) -> None:
        check_hours(self.hours, "hours")
        require(0 <= self.min_duration_s <= 86_400, "min_duration_s", self.min_duration_s, "0 to 86400")
        require(0 <= self.cooldown_s <= 86_400, "cooldown_s", self.cooldown_s, "0 to 86400")

    @property
    def content_type(self) -> str:
        """Content type of the body."""
        given = [text for name, text in self.headers.items() if name.lower() == "content-type"]
        looks_like_json = self.body is None or self.body.lstrip()[:1] in ("{", "[")
        return given[0] if given else JSON_TYPE if looks_like_json and not self.notify else TEXT_TYPE

    @property
    def target(self) -> str:
        """Program, server or services, without arguments, path and query, which may hold secrets."""
        if self.command is not None:
            return split_command(self.command, "command")[0]
        if self.notify:
            return "notify " + ", ".join(url.partition(":")[0] for url in self.notify)
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

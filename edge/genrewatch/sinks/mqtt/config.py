"""The `[mqtt]` table: the broker, the login, and what is published how often.

Checked when it is decoded, so that a wrong key or value is one line at the start and never a surprise at night.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from genrewatch.contract.errors import ConfigError, os_error_reason, require
from genrewatch.contract.ids import ID_CHARACTERS, is_id
from genrewatch.inference.settings import SettingKey

Protocol = Literal["auto", "5", "3.1.1"]
URL_FORMS = "mqtt://HOST[:PORT], mqtts://HOST[:PORT], ws://HOST[:PORT][/PATH], wss://HOST[:PORT][/PATH], auto or none"
PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
"""Default port of each scheme."""
WEBSOCKET_PATH = "/mqtt"
NO_ADDRESS = ("auto", "none")
USERNAME_VARIABLE = "GENREWATCH_MQTT_USERNAME"
PASSWORD_VARIABLE = "GENREWATCH_MQTT_PASSWORD"
USERNAME_CREDENTIAL, PASSWORD_CREDENTIAL = "mqtt_username", "mqtt_password"
"""Names of systemd credentials."""


class Endpoint(NamedTuple):
    """Address of a broker."""

    host: str
    port: int
    tls: bool
    path: str | None = None
    """Path of a WebSocket; None for MQTT over TCP."""

    def __str__(self) -> str:
        """Return the address as a URL with port, without a login."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = ("mqtt" if self.path is None else "ws") + ("s" if self.tls else "")
        return f"{scheme}://{host}:{self.port}{self.path or ''}"


@dataclass(frozen=True, kw_only=True)
class MqttConfig:
    """The broker, and what is published."""

    url: str = "auto"
    """`mqtt://HOST[:PORT]` (1883), `mqtts://` (8883), `ws://HOST[:PORT][/PATH]` (80, `/mqtt`), `wss://` (443), `none`,
    or `auto`: localhost or an embedded broker."""
    base: str = "genrewatch"
    """First level or levels of every topic, ids joined by `/`."""
    username: str | None = None
    """User name; GENREWATCH_MQTT_USERNAME in the environment overrides it."""
    password: str | None = field(default=None, repr=False)
    """Password; GENREWATCH_MQTT_PASSWORD in the environment overrides it."""
    ca_file: str | None = None
    """PEM file of the certificate authorities to trust instead of the system's; mqtts and wss only."""
    cert_file: str | None = None
    """PEM file of the client certificate, for brokers that require one; mqtts and wss only."""
    key_file: str | None = None
    """PEM file of the key of `cert_file`, if `cert_file` does not hold it."""
    protocol: Protocol = "auto"
    """`auto` tries MQTT 5 first and falls back to 3.1.1."""
    keepalive_s: int = 30
    """MQTT keep-alive; a broker that sends nothing for twice as long counts as lost, 5 to 3600 s."""
    will_delay_s: int = 5
    """With MQTT 5, time that the broker waits for a reconnect before it publishes `offline`, 0 to 3600 s."""
    heartbeat_s: int = 30
    """Longest time between two publications of a state, 1 to 3600 s."""
    expire_after_s: int = 120
    """Age in seconds at which a state expires at the broker and is no longer published; at least 3 x heartbeat_s."""
    votes: bool = True
    """Publish the votes of segments, which are four fifths of all bytes."""
    votes_every: int = 1
    """Publish the votes of every n-th segment, 1 to 1000; 0 those of segments at which the verdict changes."""
    top_k: int = 3
    """Number of labels of a segment's posterior in the votes topic, 1 to 100."""

    history: bool = True
    """Deliver the spells of the history, also those that ended while the broker was away."""
    discovery: bool = True
    """Publish Home Assistant's device discovery; false removes the device."""
    discovery_prefix: str = "homeassistant"
    """First level or levels of Home Assistant's topics."""
    device_name: str | None = None
    """Name of the node in Home Assistant; default `genrewatch` and its id. A source has the name of its table."""
    page_url: str | None = None
    """Address of the page that Home Assistant links to, http:// or https://; default that of `[web]`, where other
    machines can connect to it."""
    settable: tuple[SettingKey, ...] = ()
    """Settings that commands may change while it runs: segments, silence_dbfs, filter, expected_duration_s,
    segment_weight; default none."""
    corrections: bool = False
    """Take corrections of spells by `correct/set`; they are kept in the history."""
    bundles: str | None = None
    """Directory of the bundles that `bundle/set` may choose by name; without it the command is refused."""

    def __post_init__(self) -> None:
        if self.url not in NO_ADDRESS:
            parse_url(self.url)
        for key in ("base", "discovery_prefix"):
            for level in getattr(self, key).split("/"):
                check_id(level, key)
        name = self.device_name
        require(name is None or (name.strip() != "" and name.isprintable()), "device_name", repr(name), "a name")
        url = urlsplit(self.page_url or "http://host")
        require(
            url.scheme in ("http", "https") and bool(url.netloc), "page_url", self.page_url, "http://HOST or https://"
        )
        require(5 <= self.keepalive_s <= 3600, "keepalive_s", self.keepalive_s, "5 to 3600")
        require(0 <= self.will_delay_s <= 3600, "will_delay_s", self.will_delay_s, "0 to 3600")
        require(1 <= self.heartbeat_s <= 3600, "heartbeat_s", self.heartbeat_s, "1 to 3600")
        least = 3 * self.heartbeat_s
        require(
            self.expire_after_s >= least,
            "expire_after_s",
            self.expire_after_s,
            f"at least 3 x heartbeat_s, {least}, or a state would expire while it still holds",
        )
        require(0 <= self.votes_every <= 1000, "votes_every", self.votes_every, "0 to 1000")
        require(1 <= self.top_k <= 100, "top_k", self.top_k, "1 to 100")
        self._check_secrets()

    def _check_secrets(self) -> None:
        files = {"ca_file": self.ca_file, "cert_file": self.cert_file, "key_file": self.key_file}
        if self.url not in NO_ADDRESS and not parse_url(self.url).tls:
            for key, path in files.items():
                require(
                    path is None, key, f"{path} with a url without TLS", "an mqtts:// or wss:// url, or no such key"
                )
        require(not (self.key_file and not self.cert_file), "key_file", "no cert_file", "both or only cert_file")
        require(not (self.password is not None and self.username is None), "password", "no username", "both")

    @property
    def endpoint(self) -> Endpoint:
        """Address to connect to; raises ConfigError while `url` is not an address."""
        return parse_url(self.url)

    def with_environment(self, environ: Mapping[str, str]) -> "MqttConfig":
        """Return this configuration with the login of `environ` or, failing that, of systemd's credentials."""
        stored = _credentials(environ.get("CREDENTIALS_DIRECTORY"))
        username = environ.get(USERNAME_VARIABLE, stored.get(USERNAME_CREDENTIAL, self.username))
        password = environ.get(PASSWORD_VARIABLE, stored.get(PASSWORD_CREDENTIAL, self.password))
        if username is None and password is not None:
            raise ConfigError(PASSWORD_VARIABLE, "no username", f"{USERNAME_VARIABLE} or mqtt.username beside it")
        return replace(self, username=username, password=password)


def _credentials(directory: str | None) -> dict[str, str]:
    """Return systemd's credentials for the service (`LoadCredential=mqtt_password:/etc/...`), by name; empty ones are
    absent."""
    found: dict[str, str] = {}
    for name in (USERNAME_CREDENTIAL, PASSWORD_CREDENTIAL) if directory else ():
        path = Path(directory or "") / name
        try:
            found[name] = path.read_text(encoding="utf-8").removesuffix("\n")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(str(path), f"cannot be read ({exc})", "text") from None
    return {name: value for name, value in found.items() if value}


def parse_url(url: str) -> Endpoint:
    """Split the URL of a broker; raises ConfigError that repeats no password."""
    if "@" in url:
        shown = "...@" + url.rpartition("@")[2]
        where = f"{USERNAME_VARIABLE} and {PASSWORD_VARIABLE} or in the configuration file"
        raise ConfigError("url", f"{shown} holds a login, which every user of this machine can read", f"it in {where}")
    if any(c.isspace() or not c.isprintable() for c in url):
        raise ConfigError("url", f"found {url!r}", URL_FORMS)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError as exc:  # UnicodeError is one
        raise ConfigError("url", f"found {url} ({exc})", URL_FORMS) from None
    is_websocket = parts.scheme in ("ws", "wss")
    has_path = parts.path not in ("", "/") and not is_websocket
    if parts.scheme not in PORTS or not host or port == 0 or has_path or "?" in url or "#" in url:
        raise ConfigError("url", f"found {url}", URL_FORMS)
    path = (parts.path or WEBSOCKET_PATH) if is_websocket else None
    return Endpoint(host, PORTS[parts.scheme] if port is None else port, parts.scheme in ("mqtts", "wss"), path)


def check_id(value: str, key: str) -> str:
    """Return the id of a node, source or base if it may be part of a topic; else raises ConfigError naming `key`."""
    require(is_id(value), key, repr(value), ID_CHARACTERS)
    return value


def tls_context(config: MqttConfig) -> ssl.SSLContext | None:
    """Return the TLS context for mqtts and wss, else None; raises ConfigError for a file that is absent or not PEM."""
    if not config.endpoint.tls:
        return None
    key, path = "mqtt.ca_file", config.ca_file
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
        if config.cert_file is not None:
            key, path = "mqtt.cert_file", config.cert_file
            context.load_cert_chain(config.cert_file, config.key_file)
    except OSError as exc:  # ssl.SSLError is one
        raise ConfigError(key, f"{path} cannot be used ({os_error_reason(exc)})", "a PEM file") from None
    return context

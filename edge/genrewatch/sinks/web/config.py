"""The `[web]` table of the configuration."""

import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from genrewatch.contract.errors import ConfigError, os_error_reason, require

PASSWORD_VARIABLE = "GENREWATCH_WEB_PASSWORD"
PASSWORD_CREDENTIAL = "web_password"
"""Name of the systemd credential."""


@dataclass(frozen=True, kw_only=True)
class WebConfig:
    """Address of the page, the API and the metrics, and who may read them."""

    enabled: bool = True
    """Serve the page, the API and the metrics."""
    host: str = "127.0.0.1"
    """Address to listen on; one that other machines can reach needs a password, see `without_login`."""
    port: int = 8710
    """TCP port, 0 to 65535; 0 is any free one. When it is taken, listening goes on without the page."""
    password: str | None = field(default=None, repr=False)
    """Password that a browser asks for, with any user name; GENREWATCH_WEB_PASSWORD in the environment overrides it."""
    without_login: bool = False
    """Serve other machines although there is no password: all who reach the port can read and switch."""
    hosts: tuple[str, ...] = ()
    """Names under which browsers reach the page, as behind a proxy; its own names and addresses need no entry."""
    proxy: str | None = None
    """IP address of a proxy that checks logins and names: only it may connect, without a password, and this machine."""

    def __post_init__(self) -> None:
        require(0 <= self.port <= 65_535, "port", self.port, "0 to 65535")
        require(bool(self.host) and self.host.isprintable(), "host", repr(self.host), "a name or an address")
        for name in self.hosts:
            bare = bool(name) and not any(c in name for c in "/: ")
            require(bare, "hosts", repr(name), "names without scheme, port and path")
        require(self.password != "", "password", "an empty one", "a password, or no such key")
        require(self.proxy is None or _is_address(self.proxy), "proxy", repr(self.proxy), "an IP address")

    @property
    def local(self) -> bool:
        """True if only programs of this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def url_for_others(self) -> str | None:
        """Address of the page for browsers of other machines; None where they cannot connect."""
        if not self.enabled or self.local or self.port == 0:
            return None
        host = f"{socket.gethostname()}.local" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"

    def with_environment(self, environ: Mapping[str, str] = os.environ) -> "WebConfig":
        """Return this configuration with the password of `environ` or of systemd's credentials, if there is one.

        Raises ConfigError when other machines could connect without a login.
        """
        password = environ.get(PASSWORD_VARIABLE) or _credential(environ.get("CREDENTIALS_DIRECTORY")) or self.password
        if self.enabled and not self.local and password is None and not (self.without_login or self.proxy):
            expected = f"web.password, {PASSWORD_VARIABLE} or web.without_login = true"
            raise ConfigError("web.host", f"{self.host} without a login, which other machines can reach", expected)
        return replace(self, password=password)


def web_address(text: str, config: WebConfig) -> WebConfig:
    """Return the configuration with the address of a command line: `none`, PORT or HOST:PORT; raises ConfigError."""
    if text == "none":
        return replace(config, enabled=False)
    host, _, port = text.rpartition(":")
    require(port.isascii() and port.isdigit() and len(port) < 6, "--web", repr(text), "none, PORT or HOST:PORT")
    return replace(config, enabled=True, host=host.strip("[]") or config.host, port=int(port))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _credential(directory: str | None) -> str | None:
    if not directory:
        return None
    path = Path(directory) / PASSWORD_CREDENTIAL
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n") or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        reason = os_error_reason(exc)
        raise ConfigError(str(path), f"cannot be read ({reason})", "text") from None

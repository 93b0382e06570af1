"""The checks of a request before it is answered: who may read, and who may write.

A page of another site must not reach the node through a browser that can. A name under the attacker's control that
resolves to this machine (DNS rebinding) is refused by the check of Host; a request of a foreign page by its Origin and
by the header that only a page of the same origin can add.
"""

import base64
import binascii
import hmac
import ipaddress
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from genrewatch.sinks.web.config import WebConfig

Request = Mapping[str, Any]
"""The CGI-like variables of a request that WSGI passes."""

OWN_HEADER = "X-Genrewatch"
"""Header of every request that changes something; its value does not matter."""


class Refused(Exception):
    """A request that is not carried out: an HTTP status and one line."""

    def __init__(self, status: str, why: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, headers


class Guard:
    """The checks of one server."""

    def __init__(self, config: WebConfig) -> None:
        own = socket.gethostname().lower()
        self._password, self._proxy = config.password, config.proxy
        self._names = {"localhost", own, f"{own}.local", config.host.lower(), *map(str.lower, config.hosts)}

    def check(self, request: Request) -> None:
        """Raise Refused unless Host, login and, for a write, Origin and our own header are as they must be."""
        host = request.get("HTTP_HOST", "")
        if not self._by_proxy(request):
            if not self._known(host):
                raise Refused("421 Misdirected Request", f"unknown host {host[:80]!r}; web.hosts lists further names")
            self._check_login(request)
        if request["REQUEST_METHOD"] not in ("GET", "HEAD"):
            self._check_write(request, host)

    def _by_proxy(self, request: Request) -> bool:
        """Return whether the proxy makes the request, which has checked name and login; other machines are refused."""
        if self._proxy is None:
            return False
        peer = ipaddress.ip_address(request.get("REMOTE_ADDR", "0.0.0.0"))
        if peer != ipaddress.ip_address(self._proxy) and not peer.is_loopback:
            raise Refused("403 Forbidden", f"only the proxy {self._proxy} may connect (web.proxy)")
        return peer == ipaddress.ip_address(self._proxy)

    def _known(self, netloc: str) -> bool:
        """Return whether a Host or an Origin is this node; an IP address cannot be made to lead elsewhere."""
        try:
            name = urlsplit(f"//{netloc}").hostname or ""
            port = urlsplit(f"//{netloc}").port
        except ValueError:
            return False
        if name.rstrip(".") in self._names and port != 0:
            return True
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return False

    def _check_login(self, request: Request) -> None:
        if self._password is None:
            return
        scheme, _, encoded = request.get("HTTP_AUTHORIZATION", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True) if scheme.lower() == "basic" else b""
        except (binascii.Error, ValueError):
            given = b""
        if not hmac.compare_digest(given.partition(b":")[2], self._password.encode()):
            ask = ("WWW-Authenticate", 'Basic realm="genrewatch", charset="UTF-8"')
            raise Refused("401 Unauthorized", "a login is needed", (ask,))

    def _check_write(self, request: Request, host: str) -> None:
        if "HTTP_X_GENREWATCH" not in request:
            raise Refused("403 Forbidden", f"a write needs the header {OWN_HEADER}: 1")
        origin = request.get("HTTP_ORIGIN")
        if origin is not None:
            netloc = urlsplit(origin).netloc
            if netloc.lower() != host.lower() and (urlsplit(origin).hostname or "") not in self._names:
                raise Refused("403 Forbidden", f"a page of {origin[:80]!r} may not write here")
        if request.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none"):
            raise Refused("403 Forbidden", "a page of another site may not write here")

"""The addresses that a station, its playlists and its redirects may lead to."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urljoin, urlsplit

SCHEMES = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp", "mmsh")
FROM_ELSEWHERE = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "mmsh")
"""Schemes that a remote playlist may lead to; the others can open a port of this machine."""
_ALIASES = {"mms": "mmsh", "icy": "http", "icyx": "http"}
_URL_CHARACTERS = "!#$%&'()*+,-./:;=?@[]_~"

SocketAddress = tuple[int, tuple[object, ...]]
"""An address family and what `socket.connect` takes."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The hosts that may be connected to."""

    private: bool
    """Whether they may be loopback, private or link-local addresses."""

    def addresses(self, host: str, port: int) -> list[SocketAddress]:
        """Return the addresses of a host; OSError where it is unknown, ValueError where all are out of reach."""
        found = lookup(host, port)
        allowed = [address for address in found if self.private or not is_private(str(address[1][0]))]
        if not allowed:
            raise ValueError(f"{host} is a private address (private=yes lets a playlist or redirect lead there)")
        return allowed

    def check(self, url: str) -> None:
        """Raise ValueError for an entry of a playlist that must not be opened."""
        if not url.isascii():
            raise ValueError("an entry that is no address")
        parts = urlsplit(url)
        schemes = SCHEMES if self.private else FROM_ELSEWHERE
        if parts.scheme not in schemes:
            raise ValueError(f"a {parts.scheme or 'local'} address is not allowed in a playlist")
        if not self.private:
            self.addresses(parts.hostname or "", port_of(url) or 0)


def reach_of(url: str, *, private: bool) -> Reach:
    """Return what the playlists and redirects of a source may lead to, given the source's own URL."""
    host = urlsplit(url).hostname
    if private or not host:
        return Reach(private=True)
    return Reach(private=all(is_private(str(address[1][0])) for address in lookup(host, port_of(url) or 0)))


def lookup(host: str, port: int) -> list[SocketAddress]:
    """Return the addresses of a host; OSError where it is unknown."""
    try:
        found = socket.getaddrinfo(_idna(host), port, type=socket.SOCK_STREAM)
    except socket.gaierror as exc:
        raise OSError(f"{host}: {exc.strerror}") from None
    return [(family, sockaddr) for family, _, _, _, sockaddr in found]


def is_private(address: str) -> bool:
    """Return whether an IP address belongs to this machine or its own networks, or to no single host."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = mapped or ip
    return not ip.is_global or ip.is_multicast


def port_of(url: str) -> int | None:
    """Return the port in a URL; ValueError, in one clear line, where it is no number."""
    try:
        return urlsplit(url).port
    except ValueError:
        raise ValueError("the port in the URL is not a number from 0 to 65535") from None


def joined(base: str, reference: str) -> str:
    """Return the absolute URL of a reference in a document at `base`, in ASCII."""
    scheme, colon, rest = reference.strip().partition("://")
    if colon and scheme.lower() in _ALIASES:
        reference = f"{_ALIASES[scheme.lower()]}://{rest}"
    return ascii_url(urljoin(base, reference.strip()))


def ascii_url(url: str) -> str:
    """Return a URL with every character that a request cannot hold percent-encoded as UTF-8."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not host.isascii():
        name, colon, port = host.partition(":")
        host = _idna(name) + colon + port
    netloc = quote(login, _URL_CHARACTERS) + at + host
    return quote(parts._replace(netloc=netloc).geturl(), _URL_CHARACTERS)


def listening(url: str) -> str | None:
    """Return the port that a URL makes this machine open, as text; None where it connects to a server."""
    parts = urlsplit(url)
    options = parse_qs(parts.query, keep_blank_values=True)
    try:
        port = parts.port
    except ValueError:
        return None
    if parts.scheme in ("udp", "rtp"):
        return f"UDP port {port}"
    if parts.scheme == "srt" and (options.get("mode") == ["listener"] or not parts.hostname):
        return f"UDP port {port}"
    return f"TCP port {port}" if "listen" in options else None


def _idna(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise OSError(f"{host}: not a host name") from None

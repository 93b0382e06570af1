"""Brokers on the local network, found by mDNS (DNS-SD), extra `mdns`.

Few brokers announce themselves; Home Assistant does, and its Mosquitto usually runs on the same machine.
"""

import socket
import threading
from dataclasses import dataclass
from typing import Any

from genrewatch.contract.errors import ConfigError, not_installed, os_error_reason

SEARCH_S = 2.0
SERVICES = {
    "_mqtt._tcp.local.": ("mqtt", None),
    "_secure-mqtt._tcp.local.": ("mqtts", None),
    "_home-assistant._tcp.local.": ("mqtt", 1883),
}
"""By type of service, the scheme of the broker's URL, and its port where the announced one is another service's."""


@dataclass(frozen=True, kw_only=True)
class FoundBroker:
    """A broker, or a machine that probably has one."""

    url: str
    description: str
    """Name of the service that was announced."""


def find_brokers(search_s: float = SEARCH_S, interfaces: list[str] | None = None) -> list[FoundBroker]:
    """Return what answers within `search_s`; GenrewatchError without the package or the network."""
    try:
        from zeroconf import InterfaceChoice, ServiceBrowser, Zeroconf
    except ModuleNotFoundError as exc:
        raise not_installed(exc, "mdns") from None
    names = _Names()
    try:
        network = Zeroconf(interfaces=interfaces or InterfaceChoice.Default)
    except OSError as exc:
        raise ConfigError("mDNS", os_error_reason(exc)) from None
    try:
        ServiceBrowser(network, list(SERVICES), listener=names)
        names.searched.wait(search_s)
        found = [_broker(network.get_service_info(kind, name), kind, name) for kind, name in names.found]
    finally:
        network.close()
    return [broker for broker in found if broker is not None]


class _Names:
    """Collects the services that are announced."""

    def __init__(self) -> None:
        self.found = list[tuple[str, str]]()
        self.searched = threading.Event()  # never set: all answers within the time count

    def add_service(self, network: Any, kind: str, name: str) -> None:
        """Note a service."""
        if (kind, name) not in self.found:
            self.found.append((kind, name))

    def update_service(self, network: Any, kind: str, name: str) -> None:
        """Ignore a change."""

    def remove_service(self, network: Any, kind: str, name: str) -> None:
        """Forget a service that ends."""
        if (kind, name) in self.found:
            self.found.remove((kind, name))


def _broker(info: Any, kind: str, name: str) -> FoundBroker | None:
    """Return the broker of a service; None where its address is unknown."""
    if info is None or not info.parsed_addresses():
        return None
    scheme, port = SERVICES[kind]
    host, port = _host(info), port or info.port
    return FoundBroker(url=f"{scheme}://{host}:{port}", description=name.removesuffix(f".{kind}"))


def _host(info: Any) -> str:
    """Return the name of the machine where this one can resolve it, else its address."""
    name = (info.server or "").rstrip(".")
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        address: str = info.parsed_addresses()[0]
        return f"[{address}]" if ":" in address else address
    return name

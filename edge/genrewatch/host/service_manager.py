"""Messages to the service manager, systemd: ready, alive, status. A datagram each, as sd_notify(3) specifies.

Without $NOTIFY_SOCKET, as in a terminal, nothing is sent. Nothing blocks: what cannot be sent is dropped.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

MAX_STATUS = 400
"""Longest status, characters."""


class ServiceManager:
    """The service manager that has started this process, or none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Read the address, a path or `@NAME` of an abstract socket, and the time limit of the watchdog."""
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        self.watchdog_s = _watchdog_s(environ)
        """Longest time between two calls of `alive`; None where there is no limit."""

    @property
    def listens(self) -> bool:
        """True if there is a service manager to notify."""
        return self._address != ""

    def ready(self) -> None:
        """Notify that the start is done."""
        self._send("READY=1")

    def alive(self) -> None:
        """Reset the watchdog."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Notify that the end has begun."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Show a line about the present state, as `systemctl status` does."""
        self._send("STATUS=" + " ".join(text.split())[:MAX_STATUS])

    def _send(self, message: str) -> None:
        if self._address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)
                out.sendto(message.encode(errors="replace"), self._address)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Return the watchdog's time limit, unless it is meant for another process."""
    limit, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(os.getpid()))
    return int(limit) / 1e6 if limit.isascii() and limit.isdigit() and int(limit) and pid == str(os.getpid()) else None

"""TCP ports of 127.0.0.1: a free one, and waiting until one is open or closed."""

import socket
import subprocess
import time

from genrewatch.contract.errors import GenrewatchError

READY_S = 15.0


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Return whether something accepts connections on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_for_port(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until a port accepts connections; GenrewatchError when `process` ends or `READY_S` have passed."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end and (process is None or process.poll() is None):
        if accepts(port):
            return
        time.sleep(0.02)
    where = str(process.args) if process else f"port {port}"
    raise GenrewatchError(where, f"does not listen on port {port}", "a server that starts")


def wait_until_closed(port: int) -> None:
    """Wait until a port accepts no connections; GenrewatchError after `READY_S`."""
    end = time.monotonic() + READY_S
    while accepts(port):
        if time.monotonic() > end:
            raise GenrewatchError(f"port {port}", "is still open", "a server that has ended")
        time.sleep(0.02)

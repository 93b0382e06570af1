"""Blocking reads from a pipe that another thread can interrupt."""

import os
import select
import threading
import time

from genrewatch.host.limits import move_high

MAX_READ = 2**19
"""Bytes of one read at most."""


class PipeReader:
    """Reads a file descriptor; `stop` interrupts a blocked `read`."""

    def __init__(self, descriptor: int, *, owned: bool = False) -> None:
        """`close` closes an `owned` descriptor as well, and so does a failure here, which is an OSError."""
        self._descriptor, self._owned = descriptor, owned
        try:
            self._wake_out, self._wake_in = map(move_high, os.pipe())
        except OSError:
            if owned:
                os.close(descriptor)
            raise
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN | select.POLLHUP)
        self._poll.register(self._wake_out, select.POLLIN)
        self._stopped = False
        self._stopping = threading.Lock()  # one thread may stop while another closes

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return True as soon as `read` would not block, False after `timeout_s` seconds."""
        return bool(self._poll.poll(None if timeout_s is None else 1000 * timeout_s))

    def read(self, n: int) -> bytes:
        """Return 1 to n bytes, blocking until there is one; none at the end or after `stop`."""
        self.wait()
        return b"" if self._stopped else os.read(self._descriptor, min(n, MAX_READ))

    def read_all(self, timeout_s: float) -> bytes | None:
        """Return everything up to the end; None when that takes longer than `timeout_s` seconds."""
        deadline, pieces = time.monotonic() + timeout_s, list[bytes]()
        while self.wait(max(0.0, deadline - time.monotonic())):
            data = self.read(65_536)
            if not data:
                return b"".join(pieces)
            pieces.append(data)
        return None

    def stop(self) -> None:
        """Make `read` return nothing from now on."""
        with self._stopping:
            if not self._stopped:
                self._stopped = True
                os.write(self._wake_in, b"!")

    def close(self) -> None:
        """Release what `stop` needs; call it when no thread reads any more."""
        with self._stopping:
            self._stopped = True
            os.close(self._wake_out)
            os.close(self._wake_in)
            if self._owned:
                os.close(self._descriptor)

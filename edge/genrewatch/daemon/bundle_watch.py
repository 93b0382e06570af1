"""Notices when another bundle is chosen by `genrewatch bundle use`, beside listening and without a broker."""

import logging
import threading
from collections.abc import Callable

from genrewatch.contract.errors import GenrewatchError
from genrewatch.host.guarded_thread import GuardedThread

POLL_S = 2.0

log = logging.getLogger("genrewatch")


class BundleWatch:
    """A thread that reads the choice again and again: the disk may hang, and nothing else waits for it."""

    def __init__(self, read: Callable[[], str], on_choice: Callable[[str], None], poll_s: float = POLL_S) -> None:
        """`read` returns the name of the chosen bundle or raises GenrewatchError; `on_choice` gets each other one."""
        self._read, self._on_choice, self._poll_s = read, on_choice, poll_s
        self._closing, self._reported = threading.Event(), ""
        self._last = self._present(None)
        self.thread = GuardedThread("bundle choice", self._run)

    def start(self) -> None:
        """Start to watch."""
        self.thread.start()

    def close(self) -> None:
        """Stop, without waiting for the disk."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(self._poll_s):
            with self.thread.working():
                found = self._present(self._last)
            if found != self._last and found is not None:
                self._on_choice(found)
            self._last = found

    def _present(self, last: str | None) -> str | None:
        """Return the chosen name; the last one where it cannot be read, which is logged once."""
        try:
            return self._read()
        except GenrewatchError as exc:
            if str(exc) != self._reported:
                log.error("%s; the present bundle stays", exc)
            self._reported = str(exc)
            return last

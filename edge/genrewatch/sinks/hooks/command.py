"""A hook's command: run without a shell, with the event on standard input, and ended after its time limit.

Its output is drained and only the end of it kept: the last line explains a failure.
"""

import math
import os
import threading
import time
from collections.abc import Sequence

from genrewatch.contract.errors import os_error_reason
from genrewatch.host.limits import ChildLimits
from genrewatch.host.process import ChildProcess
from genrewatch.sinks.events import Event
from genrewatch.sinks.hooks.action import STOPPED, Outcome

TICK_S = 0.1  # how often a running command is checked for `stop`
TERM_WAIT_S = 0.5
ADDRESS_SPACE = 2 * 2**30
FILE_BYTES = 2**30
"""Bytes of the largest file that a hook writes."""


class Command:
    """See `Action`; what a command leaves in the background is ended with it."""

    def __init__(self, words: Sequence[str], timeout_s: float) -> None:
        self._words, self._timeout_s = list(words), timeout_s
        cpu_s = math.ceil(timeout_s * (os.cpu_count() or 1)) + 1
        self._limits = ChildLimits(address_space=ADDRESS_SPACE, cpu_s=cpu_s, file_bytes=FILE_BYTES)
        self._stopping = threading.Event()

    def run(self, event: Event, body: bytes) -> Outcome:
        """See `Action`."""
        if self._stopping.is_set():
            return Outcome(why=STOPPED, retry=True)
        try:
            child = ChildProcess(
                self._words, stdin=body, environment=_variables(event), drain_stdout=True, limits=self._limits
            )
        except OSError as exc:
            return Outcome(why=f"{self._words[0]}: {os_error_reason(exc)}")
        try:
            code = self._wait(child)
            child.end(term_wait_s=TERM_WAIT_S)
            return Outcome(why=self._reason(code, child.last_line()))
        finally:
            child.close()

    def stop(self) -> None:
        """See `Action`."""
        self._stopping.set()

    def _wait(self, child: ChildProcess) -> int | None:
        """Return the exit code; None when the time is over, or at `stop`."""
        deadline, code = time.monotonic() + self._timeout_s, None
        while code is None and not self._stopping.is_set() and (left_s := deadline - time.monotonic()) > 0:
            code = child.wait(min(TICK_S, left_s))
        return code

    def _reason(self, code: int | None, last_line: str) -> str | None:
        """Return `exit code 3: no such host`, or None for success."""
        if code is None:
            return STOPPED if self._stopping.is_set() else f"still running after {self._timeout_s:g} s"
        if code == 0:
            return None
        end = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
        return f"{end}: {last_line}" if last_line else end


def _variables(event: Event) -> dict[str, str]:
    """Return what a short script needs to know without reading JSON."""
    return {
        "GENREWATCH_EVENT": event.type,
        "GENREWATCH_SOURCE": event.source,
        "GENREWATCH_GENRE": event.genre or "",
    }

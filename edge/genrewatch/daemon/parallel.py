"""Several calls at the same time, each in a thread, within one deadline."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol


class Joinable(Protocol):
    """A thread."""

    def join(self, timeout_s: float, /) -> None:
        """Wait for its end."""


def call_all(calls: Sequence[Callable[[], None]], timeout_s: float) -> None:
    """Make the calls, which raise nothing, in parallel and wait for them at most `timeout_s`.

    A call for which the system has no thread left is made here.
    """
    threads = list[threading.Thread]()
    for call in calls:
        thread = threading.Thread(target=call, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            call()
        else:
            threads.append(thread)
    join_all(threads, timeout_s)


def join_all(threads: Sequence[Joinable], timeout_s: float) -> None:
    """Wait until all threads have ended, at most `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))

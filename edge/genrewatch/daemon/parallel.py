"""Several calls at the same time, each in a thread, within one deadline."""

import threading
import time
from collections.abc import Callable, Sequence


def call_all(calls: Sequence[Callable[[], None]], timeout_s: float) -> None:
    """Make the calls in parallel and wait for them at most `timeout_s`."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    join_all(threads, timeout_s)


def join_all(threads: Sequence[threading.Thread], timeout_s: float) -> None:
    """Wait until all threads have ended, at most `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))

"""Commands from other threads, carried out by the main thread one after the other."""

import queue
from collections.abc import Callable
from contextlib import suppress

MAX_COMMANDS = 100
"""Commands that may wait; further ones are dropped."""


class CommandQueue:
    """A bounded queue of callables."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def put(self, command: Callable[[], None]) -> None:
        """Add a command, from any thread; dropped if too many wait."""
        if self._queue.qsize() < MAX_COMMANDS:
            self._queue.put(command)

    def wake(self) -> None:
        """Let `run_next` return soon, from any thread or signal handler."""
        self._queue.put(lambda: None)

    def run_next(self, timeout_s: float) -> None:
        """Run the oldest command; wait for one for at most `timeout_s`."""
        with suppress(queue.Empty):
            self._queue.get(timeout=timeout_s)()

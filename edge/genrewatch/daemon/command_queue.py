"""Commands from other threads, carried out by the main thread one after the other."""

import queue
from collections.abc import Callable

MAX_COMMANDS = 100
"""Commands that may wait; further ones are dropped."""

Command = Callable[[], None]


class CommandQueue:
    """A bounded queue of callables."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Command] = queue.SimpleQueue()

    def put(self, command: Command) -> None:
        """Add a command, from any thread; dropped if too many wait."""
        if self._queue.qsize() < MAX_COMMANDS:
            self._queue.put(command)

    def put_result(self, command: Command) -> None:
        """Add what completes an earlier command; never dropped."""
        self._queue.put(command)

    def wake(self) -> None:
        """Let `take` return soon, from any thread or signal handler."""
        self._queue.put(lambda: None)

    def take(self, timeout_s: float) -> Command | None:
        """Return the oldest command as soon as there is one; None after `timeout_s`."""
        try:
            return self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None

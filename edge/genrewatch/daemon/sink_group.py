"""All sinks of the daemon as one: each callback goes to every sink, and a sink that fails is removed."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from genrewatch.contract.errors import os_error_reason
from genrewatch.daemon.parallel import call_all
from genrewatch.sinks.sink import Sink

CLOSE_S = 4.0
"""Longest time for all sinks to be flushed, and again for all to be closed."""

log = logging.getLogger("genrewatch")


class SinkGroup:
    """Calls the sinks in their order; any thread may call any method."""

    def __init__(self, sinks: Sequence[Sink], on_broken_pipe: Callable[[BrokenPipeError], None]) -> None:
        """`on_broken_pipe` is called when the reader of a sink's output has exited."""
        self._sinks, self._on_broken_pipe = list(sinks), on_broken_pipe

    def notify(self, callback: Callable[[Sink], None]) -> None:
        """Call every sink; one that raises OSError is removed."""
        for sink in list(self._sinks):
            try:
                callback(sink)
            except OSError as exc:
                with suppress(ValueError):  # another source's thread has removed it
                    self._sinks.remove(sink)
                    log.error("%s is disabled: %s", type(sink).__name__, os_error_reason(exc))
                if isinstance(exc, BrokenPipeError):
                    self._on_broken_pipe(exc)

    def diagnostics(self) -> dict[str, Any]:
        """Return the diagnostics of all sinks."""
        return {key: value for sink in list(self._sinks) for key, value in sink.diagnostics().items()}

    def problems(self) -> list[str]:
        """Return the problems of all sinks, a line each."""
        return [problem for sink in list(self._sinks) for problem in sink.problems()]

    def close(self) -> None:
        """Flush all sinks, then close them."""
        call_all([sink.flush for sink in self._sinks], CLOSE_S)
        call_all([sink.close for sink in self._sinks], CLOSE_S)

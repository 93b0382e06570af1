"""All sinks of the daemon as one: each callback goes to every sink, and a sink's exception stays its own."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from genrewatch.daemon.parallel import call_all
from genrewatch.host.defects import DefectLog
from genrewatch.sinks.sink import Sink

CLOSE_S = 4.0
"""Longest time for all sinks to be flushed, and again for all to be closed."""

T = TypeVar("T")


class SinkGroup:
    """Calls the sinks in their order; any thread may call any method."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = [(sink, DefectLog(type(sink).__name__)) for sink in sinks]

    def replace(self, old: Sink | None, new: Sink | None) -> None:
        """Notify `new` instead of `old` from now on; the caller closes `old`."""
        kept = [(sink, defects) for sink, defects in self._sinks if sink is not old]
        self._sinks = kept + ([(new, DefectLog(type(new).__name__))] if new else [])

    def notify(self, callback: Callable[[Sink], None]) -> None:
        """Call every sink; what one raises is logged, and neither the others nor the caller notice it."""
        for sink, defects in self._sinks:
            with defects.guarded():
                callback(sink)

    def diagnostics(self) -> dict[str, Any]:
        """Return the diagnostics of all sinks."""
        return {key: value for fields in self._ask(lambda sink: sink.diagnostics()) for key, value in fields.items()}

    def problems(self) -> list[str]:
        """Return the problems of all sinks, a line each."""
        problems = [problem for lines in self._ask(lambda sink: sink.problems()) for problem in lines]
        return [*problems, *(problem for _, defects in self._sinks if (problem := defects.problem))]

    @property
    def tried(self) -> bool:
        """True once every sink has tried to reach what it needs."""
        return all(sink.tried for sink, _ in self._sinks)

    def close(self) -> None:
        """Flush all sinks, then close them."""
        call_all([defects.guard(sink.flush) for sink, defects in self._sinks], CLOSE_S)
        call_all([defects.guard(sink.close) for sink, defects in self._sinks], CLOSE_S)

    def _ask(self, question: Callable[[Sink], T]) -> list[T]:
        answers: list[T] = []
        for sink, defects in self._sinks:
            with defects.guarded():
                answers.append(question(sink))
        return answers

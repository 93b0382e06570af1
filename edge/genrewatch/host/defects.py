"""Defects of one part of the daemon: each is logged with its traceback once, and the newest one is reported."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

REPORT_S = 600.0
"""Time for which `problem` reports a defect."""
MAX_PLACES = 100
"""Different defects that are logged at most."""

log = logging.getLogger("genrewatch")


class DefectLog:
    """The defects of one part, which goes on after them; any thread may call any method."""

    def __init__(self, name: str) -> None:
        """`name` is that of the part, for people."""
        self._name, self._logged = name, set[str]()
        self._newest: tuple[float, str] | None = None
        self._in_a_row = 0

    @property
    def problem(self) -> str | None:
        """The newest defect as text for people; None when there was none for `REPORT_S`."""
        newest = self._newest
        if newest is None or time.monotonic() - newest[0] > REPORT_S:
            return None
        return f"{self._name}: {defect_reason(newest[1])}"

    def add(self, exc: BaseException) -> int:
        """Log a defect unless the same one was logged before; return how many came without a long pause between."""
        place = _place(exc)
        if place not in self._logged and len(self._logged) < MAX_PLACES:
            self._logged.add(place)
            log.error("a defect in %s; the same one is not logged again", self._name, exc_info=exc)
        self._in_a_row = self._in_a_row + 1 if self.problem else 1
        self._newest = time.monotonic(), type(exc).__name__
        return self._in_a_row

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Add an exception of the block instead of raising it."""
        try:
            yield
        except Exception as exc:
            self.add(exc)

    def guard(self, call: Callable[[], object]) -> Callable[[], None]:
        """Return a callable that makes the call, `guarded`."""

        def guarded_call() -> None:
            with self.guarded():
                call()

        return guarded_call


def defect_reason(type_name: str) -> str:
    """Return why something does not work, for people, given the type of the exception."""
    return f"a defect of genrewatch ({type_name}), see the log"


def last_resort(on_defect: Callable[[BaseException], None]) -> Callable[[threading.ExceptHookArgs], None]:
    """Return a `threading.excepthook` that passes on an exception which no guard has caught."""

    def hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            on_defect(args.exc_value)

    return hook


def _place(exc: BaseException) -> str:
    """Return the type of an exception and the line that raised it."""
    at = exc.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return type(exc).__name__ + (f" {at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else "")

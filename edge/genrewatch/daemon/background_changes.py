"""Changes of the running daemon that take long to prepare: each is prepared in a thread and made by the main thread.

They are prepared one at a time, so that none is prepared for what another is about to change. Meanwhile everything goes
on as before.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from genrewatch.contract.errors import GenrewatchError
from genrewatch.host.defects import DefectLog, defect_reason

Make = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change that was asked for."""

    prepare: Callable[[], Make]
    """Called in a thread; returns what the main thread calls, or raises GenrewatchError, and nothing is changed."""
    refuse: Callable[[str], None]
    """Called in the main thread with the reason why it was not made."""
    defects: DefectLog


class BackgroundChanges:
    """Prepares and makes changes; `request` is called in the main thread."""

    def __init__(self, run_in_main: Callable[[Callable[[], None]], None]) -> None:
        """`run_in_main` makes the main thread call something soon, from any thread."""
        self._run_in_main = run_in_main
        self._wanted: dict[str, Change] = {}
        self._busy = False

    def request(self, kind: str, change: Change) -> None:
        """Make a change soon; of those of one kind that wait, only the newest counts."""
        self._wanted.pop(kind, None)
        self._wanted[kind] = change
        if not self._busy:
            self._start()

    def _start(self) -> None:
        if not self._wanted:
            return
        change = self._wanted.pop(next(iter(self._wanted)))
        self._busy = True
        try:
            threading.Thread(target=self._prepare, args=(change,), name="change", daemon=True).start()
        except RuntimeError:
            self._finish(partial(change.refuse, "no thread can be started"))

    def _prepare(self, change: Change) -> None:
        """Prepare a change, in the thread."""
        try:
            result = change.prepare()
        except GenrewatchError as exc:
            result = partial(change.refuse, str(exc))
        except Exception as exc:
            change.defects.add(exc)
            result = partial(change.refuse, defect_reason(type(exc).__name__))
        self._run_in_main(partial(self._finish, result))

    def _finish(self, result: Make) -> None:
        self._busy = False
        try:
            result()
        finally:
            self._start()

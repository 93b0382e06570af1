"""The change of the bundle: opened and checked in a thread of its own, which can take half a minute, and used by the
main thread. Meanwhile the present bundle is used, and further requests wait; only the newest counts.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial

from genrewatch.contract.errors import GenrewatchError
from genrewatch.host.defects import DefectLog, defect_reason
from genrewatch.inference.pipeline import Pipeline

log = logging.getLogger("genrewatch")

OpenBundle = Callable[[str], Mapping[str, Pipeline]]


class BundleSwitch:
    """Changes the bundle; its methods are called in the main thread."""

    def __init__(
        self,
        open_bundle: OpenBundle,
        use: Callable[[Mapping[str, Pipeline]], None],
        run_in_main: Callable[[Callable[[], None]], None],
    ) -> None:
        """`open_bundle` returns each source's pipeline, or raises GenrewatchError for a bundle that cannot be used.

        `use` takes the pipelines over. `run_in_main` makes the main thread call something soon, from any thread.
        """
        self._open_bundle, self._use, self._run_in_main = open_bundle, use, run_in_main
        self._wanted: str | None = None
        self._busy = False
        self.defects = DefectLog("bundle/set")
        self.refused: str | None = None
        """Why the last request was refused; None if it was carried out."""

    def request(self, name: str) -> None:
        """Use another bundle soon; one that cannot be used changes nothing."""
        self._wanted = name
        if not self._busy:
            self._start()

    def _start(self) -> None:
        name, self._wanted = self._wanted, None
        if name is None:
            return
        self._busy = True
        try:
            threading.Thread(target=self._open, args=(name,), name="bundle", daemon=True).start()
        except RuntimeError:
            self._finish(partial(self._refuse, name, "no thread can be started"))

    def _open(self, name: str) -> None:
        """Open a bundle, in the thread."""
        try:
            result = partial(self._accept, name, self._open_bundle(name))
        except GenrewatchError as exc:
            result = partial(self._refuse, name, str(exc))
        except Exception as exc:
            self.defects.add(exc)
            result = partial(self._refuse, name, defect_reason(type(exc).__name__))
        self._run_in_main(partial(self._finish, result))

    def _finish(self, result: Callable[[], None]) -> None:
        self._busy = False
        try:
            result()
        finally:
            self._start()

    def _accept(self, name: str, pipelines: Mapping[str, Pipeline]) -> None:
        self.refused = None
        self._use(pipelines)
        log.info("using bundle %s", name)

    def _refuse(self, name: str, why: str) -> None:
        self.refused = why
        log.error("bundle %s is refused, the current one stays: %s", name, why)

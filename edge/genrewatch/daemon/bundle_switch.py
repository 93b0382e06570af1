"""The change of the bundle: opened and checked in a thread, for half a minute perhaps, and used by the main thread."""

import logging
from collections.abc import Callable, Mapping
from functools import partial

from genrewatch.daemon.background_changes import BackgroundChanges, Change
from genrewatch.host.defects import DefectLog
from genrewatch.inference.pipeline import Pipeline

log = logging.getLogger("genrewatch")

OpenBundle = Callable[[str], Mapping[str, Pipeline]]


class BundleSwitch:
    """Changes the bundle; its methods are called in the main thread."""

    def __init__(
        self, open_bundle: OpenBundle, use: Callable[[Mapping[str, Pipeline]], None], changes: BackgroundChanges
    ) -> None:
        """`open_bundle` returns each source's pipeline, or raises GenrewatchError for a bundle that cannot be used.

        `use` takes the pipelines over.
        """
        self._open_bundle, self._use, self._changes = open_bundle, use, changes
        self.defects = DefectLog("bundle/set")
        self.refused: str | None = None
        """Why the last request was refused; None if it was carried out."""

    def request(self, name: str) -> None:
        """Use another bundle soon; one that cannot be used changes nothing, and of several only the newest counts."""
        change = Change(prepare=partial(self._open, name), refuse=partial(self._refuse, name), defects=self.defects)
        self._changes.request("bundle", change)

    def _open(self, name: str) -> Callable[[], None]:
        return partial(self._accept, name, self._open_bundle(name))

    def _accept(self, name: str, pipelines: Mapping[str, Pipeline]) -> None:
        self.refused = None
        self._use(pipelines)
        log.info("using bundle %s", name)

    def _refuse(self, name: str, why: str) -> None:
        self.refused = why
        log.error("bundle %s is refused, the current one stays: %s", name, why)

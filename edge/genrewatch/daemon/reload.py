"""The reload of the configuration while the daemon runs: prepared in a thread, made by the main thread, or refused."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from genrewatch.daemon.background_changes import BackgroundChanges, Change
from genrewatch.daemon.sink_group import SinkGroup
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.host.defects import DefectLog
from genrewatch.inference.pipeline import Pipeline
from genrewatch.sinks.sink import SourceInfo

log = logging.getLogger("genrewatch")


@dataclass(frozen=True, kw_only=True)
class ReloadResult:
    """The end of one reload."""

    refused: str | None = None
    """Why nothing was changed; None if the configuration is in use."""
    changes: Sequence[str] = field(default_factory=tuple)
    """What was changed, a line each."""
    needs_restart: Sequence[str] = field(default_factory=tuple)
    """Keys that have changed in the file and take effect at the next start only."""


@dataclass(frozen=True, kw_only=True)
class Reconfiguration:
    """A changed configuration as the daemon uses it."""

    setups: Sequence[SourceSetup]
    """All sources, in order."""
    kept: Collection[str]
    """Ids of those that go on untouched; the others are closed or started."""
    pipelines: Mapping[str, Pipeline] = field(default_factory=dict)
    """New pipelines of sources that are kept."""
    sources: Mapping[str, SourceInfo]
    """The facts about all sources that the sinks take."""
    listening_hours: Mapping[str, Sequence[str]] = field(default_factory=dict)
    settable: Sequence[str] = ()
    health_s: float
    heartbeat_s: float
    change_sinks: Callable[[SinkGroup], None] = lambda sinks: None
    """Replaces sinks, after the others know the sources and before new sources start."""

    @property
    def added(self) -> list[str]:
        """Ids of the sources that start."""
        return [setup.source.id for setup in self.setups if setup.source.id not in self.kept]


Prepare = Callable[[], Callable[[], ReloadResult]]


class Reload:
    """Reloads the configuration; its methods are called in the main thread."""

    def __init__(self, prepare: Prepare, changes: BackgroundChanges, on_result: Callable[[ReloadResult], None]) -> None:
        """`prepare` reads the configuration, in a thread, and returns what makes the change; it raises GenrewatchError
        for a configuration that cannot be used. `on_result` is called after each reload."""
        self._prepare, self._changes, self._on_result = prepare, changes, on_result
        self.defects = DefectLog("reload")
        self.refused: str | None = None
        """Why the last reload was refused; None if the configuration of the file is in use."""

    def request(self) -> None:
        """Reload soon."""
        change = Change(prepare=self._prepared, refuse=self._refuse, defects=self.defects)
        self._changes.request("reload", change)

    @property
    def problem(self) -> str | None:
        """A refused configuration as text for people; None when there is none."""
        return (
            f"the new configuration is refused, the one of before is in use: {self.refused}" if self.refused else None
        )

    def _prepared(self) -> Callable[[], None]:
        make = self._prepare()
        return lambda: self._accept(make)

    def _accept(self, make: Callable[[], ReloadResult]) -> None:
        result = make()
        self.refused = None
        for line in result.changes or ("nothing has changed",):
            log.info("reload: %s", line)
        if result.needs_restart:
            log.warning("reload: a change of %s takes effect at the next start", ", ".join(result.needs_restart))
        self._on_result(result)

    def _refuse(self, why: str) -> None:
        self.refused = why
        log.error("reload refused, the configuration of before stays in use: %s", why)
        self._on_result(ReloadResult(refused=why))

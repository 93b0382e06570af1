"""The share of far music of each source, kept over a restart."""

from collections.abc import Callable, Mapping
from typing import Any

from genrewatch.daemon.source_state import SourceState
from genrewatch.host.persistent_state import PersistentState

DRIFT_KEY = "drift"
"""Key of the persistent state: model, far and all music of each source."""
KEEP_EVERY_S = 3600.0
"""Music of a source between two writes of the persistent state."""


class KeptDrift:
    """Restores the figures of sources when they start, and keeps them."""

    def __init__(self, states: Callable[[], Mapping[str, SourceState]], persistent_state: PersistentState) -> None:
        """`states` returns those of the present sources."""
        self._states, self._persistent_state = states, persistent_state

    def keep(self) -> None:
        """Restore those of new sources; keep all once a source has an hour of new music: disks should rest."""
        for source_id, state in self._states().items():
            if not state.far.restored:
                found = self._kept().get(source_id)
                state.far.restore(found if isinstance(found, dict) else {})
        if any(state.far.new_s >= KEEP_EVERY_S for state in self._states().values()):
            self.keep_all()

    def keep_all(self) -> None:
        """Keep the figures of the present sources; those of others stay."""
        found = {source_id: state.far for source_id, state in self._states().items() if state.far.music_s}
        if not found:
            return
        self._persistent_state.put(
            DRIFT_KEY, self._kept() | {source_id: far.as_json() for source_id, far in found.items()}
        )
        for far in found.values():
            far.new_s = 0.0

    def _kept(self) -> dict[str, Any]:
        return self._persistent_state.get(DRIFT_KEY, dict[str, Any]())

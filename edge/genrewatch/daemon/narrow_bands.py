"""The sources that carry less band than the model was trained for, kept for `genrewatch doctor`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from genrewatch.daemon.source_state import SourceState
from genrewatch.host.persistent_state import PersistentState

NARROW_KEY = "narrow"
"""Key of the persistent state: the problem, for people, of each source whose band is narrow."""


class NarrowBands:
    """Keeps the problems of the present sources in the persistent state."""

    def __init__(self, states: Callable[[], Mapping[str, SourceState]], persistent_state: PersistentState) -> None:
        """Keep nothing yet; `states` returns those of the present sources."""
        self._states, self._persistent_state = states, persistent_state

    def keep(self) -> None:
        """Keep what is known by now; a source whose band is not known yet keeps what was known of it."""
        before: dict[str, str] = self._persistent_state.get(NARROW_KEY, {})
        problems = {
            source_id: state.band_problem if state.band_known else before.get(source_id)
            for source_id, state in self._states().items()
        }
        self._persistent_state.put(NARROW_KEY, {key: problem for key, problem in problems.items() if problem})


def kept_problems(directory: Path) -> list[str]:
    """Return a line for each source of any node with a narrow band, as far as its daemon knew."""
    lines = []
    for path in sorted(directory.glob("memory-*.json")):
        kept: dict[str, str] = PersistentState(path).get(NARROW_KEY, {})
        lines += [f"{source_id}: {problem}" for source_id, problem in kept.items()]
    return lines

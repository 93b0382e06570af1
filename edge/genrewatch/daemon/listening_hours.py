"""Listening hours: sources are switched off outside their hours, in the same way as by a command.

A source is switched at the beginning and at the end of its hours only. So a command in between holds until then, also
over a restart of the daemon: the persistent state holds what the hours last asked for.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from genrewatch.daemon.source_runner import DISABLED_KEY, SourceRunner
from genrewatch.host.local_hours import within_hours
from genrewatch.host.persistent_state import PersistentState

log = logging.getLogger("genrewatch")

HOURS_KEY = "listening_hours"
"""Key of the persistent state: by source id, True if the hours last asked to listen."""


class ListeningHours:
    """Switches the sources that have hours; its methods are called in the main thread."""

    def __init__(
        self,
        hours: Mapping[str, Sequence[str]],
        persistent_state: PersistentState,
        local_time: Callable[[], datetime] = datetime.now,
    ) -> None:
        """`hours` are the ranges of each source that has any."""
        self._hours, self._persistent_state, self._local_time = hours, persistent_state, local_time

    def change(self, hours: Mapping[str, Sequence[str]]) -> None:
        """Have other hours from now on."""
        self._hours = hours

    def prepare(self, source_ids: Collection[str] | None = None) -> None:
        """Before sources start, default all: mark those as switched off, or no longer so, whose hours have changed."""
        due = {key: on for key, on in self._due().items() if source_ids is None or key in source_ids}
        if not due:
            return
        disabled: list[str] = self._persistent_state.get(DISABLED_KEY, [])
        for source_id, listen in due.items():
            disabled = [other for other in disabled if other != source_id] + ([] if listen else [source_id])
            self._note(source_id, listen)
        self._persistent_state.put(DISABLED_KEY, disabled)

    def apply(self, sources: SourceRunner) -> None:
        """Switch the sources whose hours have begun or ended; one that cannot be switched is tried again."""
        for source_id, listen in self._due().items():
            if source_id not in sources.states:
                continue
            sources.set_listening(source_id, listen)
            if sources.states[source_id].disabled is not listen:
                self._note(source_id, listen)

    def _due(self) -> dict[str, bool]:
        """Return the sources for which the hours ask for something else than before."""
        before: dict[str, bool] = self._persistent_state.get(HOURS_KEY, {})
        when = self._local_time()
        now = dict.fromkeys(before, True)  # those without hours any more
        now |= {source_id: within_hours(texts, when) for source_id, texts in self._hours.items()}
        return {source_id: listen for source_id, listen in now.items() if before.get(source_id, True) is not listen}

    def _note(self, source_id: str, listen: bool) -> None:
        log.info("%s: its listening hours %s", source_id, "have begun" if listen else "are over")
        before: dict[str, bool] = self._persistent_state.get(HOURS_KEY, {})
        self._persistent_state.put(HOURS_KEY, {**before, source_id: listen})

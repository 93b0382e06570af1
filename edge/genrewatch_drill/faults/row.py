"""A row of the fault matrix: its sources, and the function that plays the fault and checks the daemon."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from genrewatch_drill.faults.context import Context
from genrewatch_drill.rig.results import Outcome

SourceTable = dict[str, Any]
"""A `[[source]]` table of the configuration."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault; all rows are played at once in one daemon, each in a thread of its own, or in daemons of their own."""

    name: str
    """The name for `--only`."""
    fault: str
    """The fault, for people."""
    sources: Callable[[Context], Sequence[SourceTable]] = lambda context: ()
    """Prepares the sources before the daemon starts."""
    play: Callable[[Context], Outcome]
    """Causes the fault and checks the daemon; raises CheckFailed."""
    own_daemon: bool = False
    """Whether the row starts a daemon of its own, after the common one has ended."""
    needs: tuple[str, ...] = ()
    """Programs and kinds of source that the row requires."""

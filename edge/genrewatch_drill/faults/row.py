"""A row of the fault matrix: which sources it needs, and what is played and asserted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from genrewatch_drill.faults.stage import Outcome, Stage

Table = dict[str, Any]
"""A `[[source]]` table of the configuration."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault; all rows are played at once, in one daemon, each by a thread of its own."""

    name: str
    """For `--only`."""
    fault: str
    """What happens, for people."""
    sources: Callable[[Stage], Sequence[Table]]
    """Set up before the daemon starts."""
    play: Callable[[Stage], Outcome]
    """Waits, does wrong, and checks; raises Unmet."""
    needs: tuple[str, ...] = ()
    """Programs, and kinds of source, without which it cannot be played."""

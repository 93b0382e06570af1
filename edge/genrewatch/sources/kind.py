"""What a kind of source declares: how its URI is written, which options it takes and how it is opened.

A new kind is a module with a `Kind`, and a line in the table of `kinds`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from genrewatch.sources.source import Source
from genrewatch.sources.supervision import Supervision
from genrewatch.sources.uri import Uri


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Settings of one source beside its URI."""

    id: str
    """Name in topics."""
    supervision: Supervision
    """When its child process counts as stalled, and whether and how it is restarted."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of source."""

    form: str
    """How it is written, for messages."""
    options: tuple[str, ...]
    """Options of its URI, beside those that every kind takes."""
    open: Callable[[Uri, Opening], Source]
    """Opens a source; raises SourceError for a URI that it cannot use."""

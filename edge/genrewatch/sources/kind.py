"""The declaration of one kind of source. A new kind is a module with a `Kind` and a line in the table of `kinds`."""

from collections.abc import Callable
from dataclasses import dataclass

from genrewatch.sources.source import Source
from genrewatch.sources.supervision import Supervision
from genrewatch.sources.uri import Uri


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Settings of one source besides its URI."""

    id: str
    """Name in topics."""
    supervision: Supervision
    """Limits and restarts of its child process."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of source."""

    form: str
    """URI form for error messages."""
    options: tuple[str, ...] = ()
    """Names of its URI options, besides those that every kind takes."""
    open: Callable[[Uri, Opening], Source]
    """Makes a source of a URI; raises SourceError or ConfigError for one that cannot work."""

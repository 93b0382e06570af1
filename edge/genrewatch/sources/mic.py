"""`mic:NAME`: a microphone by its identity or a part of its name, recorded by a child process."""

from genrewatch.sources.child import ChildSource
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.microphone.listing import microphone_command
from genrewatch.sources.source import Source
from genrewatch.sources.uri import Uri


def _open(uri: Uri, opening: Opening) -> Source:
    command = microphone_command(uri.target, stall_s=opening.supervision.stall_s)
    return ChildSource(opening.id, command, None, opening.supervision, reports_lost=True)


MIC = Kind(form="mic:NAME", open=_open)

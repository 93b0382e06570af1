"""`cmd:COMMAND`: a program that writes WAV or raw PCM to its standard output."""

from dataclasses import replace

from genrewatch.host.shell_words import split_command
from genrewatch.sources.child import ChildSource
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.source import Source
from genrewatch.sources.uri import PCM_KEYS, Uri


def _open(uri: Uri, opening: Opening) -> Source:
    restart = uri.choice("restart", "always", "never") == "always"
    supervision = replace(opening.supervision, restart=restart)
    return ChildSource(opening.id, split_command(uri.target, uri.text), uri.pcm(), supervision)


CMD = Kind(form="cmd:COMMAND", options=(*PCM_KEYS, "restart"), open=_open)

"""`file:PATH`: any file that ffmpeg reads, in real time or as fast as possible."""

from genrewatch.audio.decoding import decode_in_child
from genrewatch.contract.errors import SourceError
from genrewatch.host.hidden_paths import require_visible
from genrewatch.host.paths import expand_home
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.pacing import PacedSource, pace
from genrewatch.sources.source import Source
from genrewatch.sources.uri import Uri


def _open(uri: Uri, opening: Opening) -> Source:
    if not uri.target:
        raise SourceError(uri.text, "no path", "file:PATH")
    path = expand_home(uri.target)
    require_visible(path, uri.text)
    return PacedSource(opening.id, lambda: decode_in_child(path, opening.supervision.channel), pace=pace(uri))


FILE = Kind(form="file:PATH", options=("pace",), open=_open)

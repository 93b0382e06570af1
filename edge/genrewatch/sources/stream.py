"""`http://...` and its like: a station on the network; the child `tuner` resolves playlists and becomes ffmpeg."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from genrewatch import __version__
from genrewatch.audio.decoding import TO_WAV
from genrewatch.contract.errors import SourceError
from genrewatch.sources.child import ChildSource
from genrewatch.sources.ffmpeg import FfmpegStderr
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.source import Source
from genrewatch.sources.supervision import Supervision
from genrewatch.sources.uri import Uri

TUNER = [sys.executable, "-I", str(Path(__file__).with_name("tuner.py"))]
MAX_URL = 2000
OUTPUT = ["-flush_packets", "1", *TO_WAV]  # else ffmpeg buffers 256 kB, which can last longer than stall_s


class StreamSource(ChildSource):
    """A station on the network."""

    def __init__(self, source_id: str, uri: Uri, supervision: Supervision) -> None:
        if len(uri.target) > MAX_URL or not uri.target.isprintable() or " " in uri.target:
            raise SourceError(uri.text[:80], "an address that is too long or holds spaces", "a URL")
        self._url, self._timeout_s = uri.target, supervision.stall_s + 2  # so that the supervisor notices first
        self._latest = FfmpegStderr()
        restart = uri.choice("restart", "always", "never") == "always"
        super().__init__(
            source_id,
            TUNER,
            None,
            replace(supervision, restart=restart),
            where=uri.text,
            stdin=self._task,
            stderr=self._new_stderr,
        )

    def _new_stderr(self) -> FfmpegStderr:
        self._paced = self._latest.format == b"hls"  # known from the previous child
        self._latest = FfmpegStderr()
        return self._latest

    def _task(self, restarts: int) -> bytes:
        task = {"url": self._url, "restarts": restarts, "timeout_s": self._timeout_s, "paced": self._paced}
        return json.dumps({**task, "agent": f"genrewatch/{__version__}", "output": OUTPUT}).encode()


def stream_kind(scheme: str) -> Kind:
    """Return the kind of one URL scheme."""
    return Kind(form=f"{scheme}://", options=("restart",), open=_open)


def _open(uri: Uri, opening: Opening) -> Source:
    return StreamSource(opening.id, uri, opening.supervision)

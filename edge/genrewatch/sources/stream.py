"""A network stream: `tuner` resolves playlists and becomes ffmpeg, which the supervisor of children watches."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from genrewatch import __version__
from genrewatch.audio.decoding import TO_WAV
from genrewatch.contract.errors import SourceError
from genrewatch.sources.child import ChildSource, Watch
from genrewatch.sources.ffmpeg import FfmpegWords
from genrewatch.sources.uri import Uri

TUNER = [sys.executable, "-I", str(Path(__file__).with_name("tuner.py"))]
LONGEST_URL = 2000
OUTPUT = ["-flush_packets", "1", *TO_WAV]  # or ffmpeg holds back 256 kB, at a low rate longer than the stall time


class StreamSource(ChildSource):
    """A station on the network."""

    def __init__(self, source_id: str, uri: Uri, watch: Watch) -> None:
        if len(uri.target) > LONGEST_URL or not uri.target.isprintable() or " " in uri.target:
            raise SourceError(uri.text[:80], "an address that is too long or holds spaces", "a URL")
        self._url, self._timeout_s = uri.target, watch.stall_s + 2  # the supervisor is to notice first
        self._latest = FfmpegWords()
        restart = uri.choice("restart", "always", "never") == "always"
        super().__init__(
            source_id,
            TUNER,
            None,
            replace(watch, restart=restart),
            where=uri.text,
            tell=self._task,
            words=self._new_words,
        )

    def _new_words(self) -> FfmpegWords:
        self._paced = self._latest.format == b"hls"  # found out in the life before
        self._latest = FfmpegWords()
        return self._latest

    def _task(self, lives: int) -> bytes:
        task = {"url": self._url, "lives": lives, "timeout_s": self._timeout_s, "paced": self._paced}
        return json.dumps({**task, "agent": f"genrewatch/{__version__}", "output": OUTPUT}).encode()

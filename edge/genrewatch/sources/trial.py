"""A trial of one source: does sound arrive, and how loud is it?"""

import threading
from collections.abc import Generator
from contextlib import closing

import numpy as np

from genrewatch.audio.level import measure
from genrewatch.audio.pcm import Block
from genrewatch.contract.errors import SourceError
from genrewatch.contract.front_end import Samples
from genrewatch.sources.kinds import open_sources, parse, resolve_auto
from genrewatch.sources.source import NowPlaying, Source
from genrewatch.sources.uri import SourceConfig

ENOUGH_S = 1.0
"""Seconds of sound that are measured."""
LONGEST_S = 25.0
"""Time until a source without sound is given up; a live one has its own limit, 20 s by default."""
UNTRIED = {"stdin": "its sound is for the daemon only", "fifo": "a second reader would take sound from the daemon"}


class Trial:
    """Opens a source, without restarts; `close` may come from another thread."""

    def __init__(self, config: SourceConfig) -> None:
        """Raise SourceError or ConfigError for a source that cannot work."""
        self._source: Source = open_sources([config])[0]
        self._where = parse(config.uri).text
        self._why = "no sound"

    def blocks(self, longest_s: float = LONGEST_S) -> Generator[Block, None, None]:
        """Yield blocks with sound until `longest_s` have passed; raises SourceError with the reason for none."""
        timer = threading.Timer(longest_s, self._source.close)
        timer.daemon = True
        timer.start()
        received = False
        try:
            for block in self._source.blocks(self):
                if len(block.samples):
                    received = True
                    yield block
        finally:
            timer.cancel()
            self._source.close()
        if not received:
            raise SourceError(self._where, self._why, f"sound within {longest_s:g} s")

    def on_source_online(self, source_id: str, why: str) -> None:
        """See `SourceEvents`."""

    def on_source_offline(self, source_id: str, why: str) -> None:
        """See `SourceEvents`."""
        self._why = why

    def on_source_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """See `SourceEvents`."""


def try_source(config: SourceConfig, longest_s: float = LONGEST_S) -> str:
    """Receive a second of sound and return its level as text; raises SourceError for a source that does not work."""
    kind = resolve_auto(parse(config.uri)).kind
    if kind in UNTRIED:
        return f"not tried: {UNTRIED[kind]}"
    pieces, received_s = list[Samples](), 0.0
    with closing(Trial(config).blocks(longest_s)) as blocks:
        for block in blocks:
            pieces.append(block.samples)
            received_s += len(block.samples) / block.sample_rate
            if received_s >= ENOUGH_S:
                break
    return f"sound arrives, {level_text(measure(np.concatenate(pieces)).dbfs)}"


def level_text(dbfs: float | None) -> str:
    """Return a level for people."""
    return "all samples equal: the input is muted or not connected" if dbfs is None else f"{dbfs:.0f} dBFS"

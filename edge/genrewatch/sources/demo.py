"""`demo:`: the built-in programme of music, once or in a loop."""

import itertools
from collections.abc import Iterator

from genrewatch import programme
from genrewatch.audio.pcm import Block
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.pacing import PacedSource, pace
from genrewatch.sources.source import Source
from genrewatch.sources.uri import Uri


def _open(uri: Uri, opening: Opening) -> Source:
    loop = uri.choice("loop", "yes", "no") == "yes"
    return PacedSource(opening.id, lambda: _blocks(loop=loop), pace=pace(uri))


def _blocks(*, loop: bool) -> Iterator[Block]:
    for seed in itertools.count() if loop else (0,):
        for samples in programme.programme_blocks(seed=seed):
            yield Block(samples=samples, sample_rate=programme.SAMPLE_RATE)


DEMO = Kind(form="demo:", options=("pace", "loop"), open=_open)

"""`alsa:DEVICE`: a sound card through `arecord`, where PortAudio fails.

`arecord -L` prints the devices. `alsa:hw:CARD=Yeti,DEV=0` is the card itself, by its id, which survives a changed
index; `alsa:plughw:...` and `alsa:default` convert to whatever is asked.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

from genrewatch.audio.pcm import Block, Encoding, PcmFormat
from genrewatch.contract.errors import SourceError
from genrewatch.sources.child import ChildSource
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.source import Source, SourceEvents
from genrewatch.sources.stderr import LastLine
from genrewatch.sources.uri import Uri

RATE, CHANNELS = 48_000, 1
FORMATS: dict[Encoding, str] = {
    "s16le": "S16_LE",
    "s32le": "S32_LE",
    "s24in32le": "S24_LE",
    "s24le": "S24_3LE",
    "f32le": "FLOAT_LE",
    "f64le": "FLOAT64_LE",
    "u8": "U8",
}
"""arecord's names."""
_IN_ENGLISH = ["env", "LC_ALL=C"]  # its standard error is parsed
_OTHER_RATE = re.compile(rb"rate is not accurate \(requested = (\d+)Hz, got = (\d+)Hz\)")
_OFFERED = re.compile(rb"^- ([A-Z0-9_]+)$")
_OVERRUN = re.compile(rb"overrun!!! \(at least ([0-9.]+) ms long\)")


class AlsaSource(ChildSource):
    """A sound card; where it lacks the format of the first attempt, the next child uses one that it offers."""

    def __init__(self, uri: Uri, opening: Opening, arecord: str) -> None:
        self._device, self._arecord = uri.target, arecord
        pcm = PcmFormat(rate=uri.integer("rate", RATE), channels=uri.integer("channels", CHANNELS))
        self._use(pcm)
        super().__init__(
            opening.id,
            self._arguments,
            pcm,
            opening.supervision,
            where=uri.text,
            stderr=lambda: ArecordStderr(self._use_encoding),
            reports_lost=True,
        )

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        while True:
            tried = self._command
            try:
                yield from super().blocks(events)
                return
            except SourceError:
                if self._command == tried:
                    raise

    def _use(self, pcm: PcmFormat) -> None:
        shape = ["-f", FORMATS[pcm.encoding], "-r", str(pcm.rate), "-c", str(pcm.channels)]
        self._arguments = [*_IN_ENGLISH, self._arecord, "-q", "-D", self._device, "-t", "raw", *shape]

    def _use_encoding(self, encoding: Encoding) -> None:
        if self._pcm and self._pcm.encoding != encoding:
            self._pcm = replace(self._pcm, encoding=encoding)
            self._use(self._pcm)
            self._command = self._arguments


def _open(uri: Uri, opening: Opening) -> Source:
    """Return a source that records at the URI's rate and channels; SourceError without arecord."""
    if not uri.target:
        raise SourceError(uri.text, "no device", "alsa:default, alsa:hw:CARD=NAME, ... (arecord -L lists them)")
    arecord = shutil.which("arecord")
    if arecord is None:
        raise SourceError(uri.text, "arecord is not installed", "it on the PATH (apt install alsa-utils)")
    return AlsaSource(uri, opening, arecord)


class ArecordStderr(LastLine):
    """The standard error of one arecord, which reports what each overrun has cost."""

    def __init__(self, on_encoding: Callable[[Encoding], None] = lambda encoding: None) -> None:
        """`on_encoding` receives the first known format that a card offers which lacks the one it was asked for."""
        super().__init__()
        self._on_encoding: Callable[[Encoding], None] | None = on_encoding
        self._lost_s = 0.0
        self._other_rate: int | None = None

    def feed(self, line: bytes) -> None:
        """See `StderrParser`."""
        if overrun := _OVERRUN.search(line):
            self._lost_s += float(overrun[1]) / 1000
        elif other := _OTHER_RATE.search(line):
            self._other_rate = int(other[2])
        elif offered := _OFFERED.match(line):
            self._offer(offered[1].decode())
        elif not line.startswith((b"Available formats", b"Aborted by signal", b"Recording ")):
            super().feed(re.sub(rb"^arecord: \w+:\d+: ", b"", line))

    def take_lost_s(self) -> float:
        """See `StderrParser`; SourceError when the card runs at another rate, which raw PCM does not show."""
        if self._other_rate is not None:
            raise SourceError("arecord", f"the card runs at {self._other_rate} Hz", f"?rate={self._other_rate}")
        lost_s, self._lost_s = self._lost_s, 0.0
        return lost_s

    def _offer(self, name: str) -> None:
        known = next((encoding for encoding, format_name in FORMATS.items() if format_name == name), None)
        if known and self._on_encoding:
            on_encoding, self._on_encoding = self._on_encoding, None
            on_encoding(known)


ALSA = Kind(form="alsa:DEVICE", options=("rate", "channels"), open=_open)

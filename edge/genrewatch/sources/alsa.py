"""`alsa:DEVICE`: a sound card through `arecord`, where PortAudio fails.

`arecord -L` prints the devices. `alsa:hw:CARD=Yeti,DEV=0` is the card itself, by its id, which survives a changed
index; `alsa:plughw:...` and `alsa:default` convert to whatever is asked.
"""

import re
import shutil

from genrewatch.audio.pcm import PcmFormat
from genrewatch.contract.errors import SourceError
from genrewatch.sources.child import ChildSource
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.source import Source
from genrewatch.sources.stderr import LastLine
from genrewatch.sources.uri import Uri

RATE, CHANNELS = 48_000, 1
_IN_ENGLISH = ["env", "LC_ALL=C"]  # its standard error is parsed
_OTHER_RATE = re.compile(rb"rate is not accurate \(requested = (\d+)Hz, got = (\d+)Hz\)")
_OVERRUN = re.compile(rb"overrun!!! \(at least ([0-9.]+) ms long\)")


def _open(uri: Uri, opening: Opening) -> Source:
    """Return a source that records 16 bit at the URI's rate and channels; SourceError without arecord."""
    if not uri.target:
        raise SourceError(uri.text, "no device", "alsa:default, alsa:hw:CARD=NAME, ... (arecord -L lists them)")
    arecord = shutil.which("arecord")
    if arecord is None:
        raise SourceError(uri.text, "arecord is not installed", "it on the PATH (apt install alsa-utils)")
    pcm = PcmFormat(rate=uri.integer("rate", RATE), channels=uri.integer("channels", CHANNELS))
    shape = ["-f", "S16_LE", "-r", str(pcm.rate), "-c", str(pcm.channels)]
    command = [*_IN_ENGLISH, arecord, "-q", "-D", uri.target, "-t", "raw", *shape]
    return ChildSource(opening.id, command, pcm, opening.supervision, where=uri.text, stderr=ArecordStderr)


class ArecordStderr(LastLine):
    """The standard error of one arecord, which reports what each overrun has cost."""

    def __init__(self) -> None:
        super().__init__()
        self._lost_s = 0.0
        self._other_rate: int | None = None

    def feed(self, line: bytes) -> None:
        """See `StderrParser`."""
        if overrun := _OVERRUN.search(line):
            self._lost_s += float(overrun[1]) / 1000
        elif other := _OTHER_RATE.search(line):
            self._other_rate = int(other[2])
        elif not line.startswith((b"Aborted by signal", b"Recording ")):
            super().feed(re.sub(rb"^arecord: \w+:\d+: ", b"", line))

    def take_lost_s(self) -> float:
        """See `StderrParser`; SourceError when the card runs at another rate, which raw PCM does not show."""
        if self._other_rate is not None:
            raise SourceError("arecord", f"the card runs at {self._other_rate} Hz", f"?rate={self._other_rate}")
        lost_s, self._lost_s = self._lost_s, 0.0
        return lost_s


ALSA = Kind(form="alsa:DEVICE", options=("rate", "channels"), open=_open)

"""`monitor:NAME`: what this machine plays, recorded by `parec` from a sink of PulseAudio or of PipeWire."""

import shutil

from genrewatch.audio.pcm import PcmFormat
from genrewatch.contract.errors import SourceError
from genrewatch.host.process import ChildProcess
from genrewatch.host.untrusted_text import decode_line
from genrewatch.sources.child import ChildSource
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.source import Source
from genrewatch.sources.uri import Uri

DEFAULT = "@DEFAULT_MONITOR@"
SUFFIX = ".monitor"
PCM = PcmFormat(rate=44_100, channels=2)
LATENCY_MS = 400
LIST_TIMEOUT_S = 3.0


def monitors() -> list[str]:
    """Return the names of the sinks that can be listened to; none without a sound server or `pactl`."""
    pactl = shutil.which("pactl")
    if pactl is None or not shutil.which("parec"):
        return []
    try:
        with ChildProcess([pactl, "list", "short", "sources"]) as child:
            lines = (child.stdout.read_all(LIST_TIMEOUT_S) or b"").splitlines()
    except OSError:
        return []
    names = [decode_line(fields[1]) for line in lines if len(fields := line.split(b"\t")) > 1]
    return [name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)]


def _open(uri: Uri, opening: Opening) -> Source:
    """Return a source that records the sink of that name, or the default one; SourceError without parec."""
    parec = shutil.which("parec")
    if parec is None:
        raise SourceError(uri.text, "parec is not installed", "it on the PATH (apt install pulseaudio-utils)")
    name = uri.target.removesuffix(SUFFIX)
    shape = ["--raw", "--format=s16le", f"--rate={PCM.rate}", f"--channels={PCM.channels}"]
    device = f"--device={name + SUFFIX if name else DEFAULT}"
    command = [parec, device, f"--latency-msec={LATENCY_MS}", "--client-name=genrewatch", *shape]
    return ChildSource(opening.id, command, PCM, opening.supervision, where=uri.text)


MONITOR = Kind(form="monitor:NAME", open=_open)

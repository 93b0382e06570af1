"""The inputs of ffmpeg: a pipe that is fed, the local server, or an address that ffmpeg opens by itself.

No address is in ffmpeg's command line, because every user of the machine can read that: an address that ffmpeg opens is
in a list on its standard input.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from genrewatch.sources.tuner.addresses import port_of
from genrewatch.sources.tuner.connection import Access
from genrewatch.sources.tuner.http import PIECE_BYTES, Read
from genrewatch.sources.tuner.local_server import LocalServer
from genrewatch.sources.tuner.tunnel import Tunnel

_PORTS = {"rtsp": 554, "rtsps": 322, "mmsh": 80}
_PROTOCOLS = {
    "rtsp": "tcp,udp,rtp,srtp",
    "rtmp": "rtmp,rtmpt,ffrtmphttp,http,tcp",
    "rtmps": "rtmps,rtmpts,ffrtmphttp,https,tls,tcp",
    "srt": "srt",
    "udp": "udp",
    "rtp": "rtp,srtp,udp",
    "mmsh": "mmsh,http,tcp",
}
"""What ffmpeg may use for an address of each scheme; nothing local."""
_ANALYZE_US = "1000000"
_HLS_FORMATS = "hls,aac,ac3,eac3,mp3,mpegts,mov"


@dataclass(frozen=True, kw_only=True)
class FfmpegInput:
    """An input, with what must run beside ffmpeg."""

    words: list[str]
    """ffmpeg's options up to its input."""
    stdin: bytes = b""
    """What ffmpeg reads from its standard input."""
    serve: Callable[[int], None] | None = None
    """Runs in a process of its own beside ffmpeg; takes the descriptor of the pipe to ffmpeg's standard input."""


def fed(read: Read, demuxer: str | None) -> FfmpegInput:
    """Return the input that reads sound from a pipe."""

    def feed(descriptor: int) -> None:
        while piece := read(PIECE_BYTES):
            sys.stderr.flush()
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view) :]

    format_words = ["-f", demuxer] if demuxer else []
    return FfmpegInput(words=["-protocol_whitelist", "pipe", *format_words, "-i", "pipe:0"], serve=feed)


def served(url: str, access: Access, demuxer: str, on_error: Callable[[str], None]) -> FfmpegInput:
    """Return the input that requests its documents, such as HLS segments, from the local server."""
    server = LocalServer(access, on_error)
    words = ["-protocol_whitelist", "http,tcp,crypto", "-f", demuxer]
    if demuxer == "hls":  # comes a whole segment at a time
        words = ["-re", *words, "-format_whitelist", _HLS_FORMATS, "-http_persistent", "0"]
    return FfmpegInput(words=[*words, "-i", server.url(url)], serve=lambda descriptor: server.serve())


def opened(url: str, access: Access, on_error: Callable[[str], None], *, video: bool) -> FfmpegInput:
    """Return the input that ffmpeg opens by itself; `video` has an RTSP camera send its video too."""
    scheme, serve, options = urlsplit(url).scheme, None, {}
    if scheme == "rtsps" or (scheme in _PORTS and not access.reach.private):
        parts = urlsplit(url)
        port = port_of(url) or _PORTS[scheme]
        tunnel = Tunnel(parts.hostname or "", port, access, tls=scheme == "rtsps", on_error=on_error)
        login, at, _ = parts.netloc.rpartition("@")
        scheme, serve = scheme.replace("rtsps", "rtsp"), tunnel.serve
        url = parts._replace(scheme=scheme, netloc=f"{login}{at}127.0.0.1:{tunnel.port}").geturl()
        options = {"rtsp_transport": "tcp"} if scheme == "rtsp" else {}
    elif scheme == "rtsp":
        options = {"rtsp_flags": "prefer_tcp"}
    elif scheme == "rtmps":
        bundle = access.tls.bundle()
        options = {"tls_verify": str(int(access.tls.verify)), **({"ca_file": bundle} if bundle else {})}
    if scheme == "rtsp":
        options["allowed_media_types"] = "audio+video" if video else "audio"
        options |= {"analyzeduration": _ANALYZE_US} if video else {}
    lines = ["ffconcat version 1.0", f"file {_quoted(url)}"]
    lines += [f"option {name} {_quoted(value)}" for name, value in options.items()]
    words = ["-analyzeduration", _ANALYZE_US] if video else []  # video is not worth waiting for
    words += ["-protocol_whitelist", f"pipe,{_PROTOCOLS[scheme]}", "-f", "concat", "-safe", "0", "-i", "pipe:0"]
    return FfmpegInput(words=words, stdin=("\n".join(lines) + "\n").encode(), serve=serve)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"

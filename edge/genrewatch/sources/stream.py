"""`http://...` and its like: a station on the network; the child `tuner` finds it and becomes ffmpeg."""

import codecs
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace

from genrewatch import __version__
from genrewatch.audio.decoding import TO_WAV
from genrewatch.audio.pcm import Block
from genrewatch.contract.errors import SourceError
from genrewatch.host.limits import DECODER_ADDRESS_SPACE
from genrewatch.host.paths import expand_home
from genrewatch.sources.child import ChildSource
from genrewatch.sources.ffmpeg import FfmpegStderr
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.source import Source, SourceEvents
from genrewatch.sources.supervision import Supervision
from genrewatch.sources.tuner.addresses import listening, port_of
from genrewatch.sources.uri import Uri

TUNER = [sys.executable, "-I", "-m", "genrewatch.sources.tuner"]
MAX_URL = 2000
MAX_FAILED = 200
OUTPUT = ["-flush_packets", "1", *TO_WAV]  # else ffmpeg buffers 256 kB, which can last longer than stall_s
OPTIONS = ("restart", "tls_verify", "ca_file", "private", "charset")

log = logging.getLogger("genrewatch")


class StreamSource(ChildSource):
    """A station on the network. Each child tries the ways to it that have not failed since the last sound."""

    def __init__(self, source_id: str, uri: Uri, supervision: Supervision) -> None:
        self._settings = _settings(uri)
        self._failed: list[str] = []
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
            another_way=self._another_way,
            address_space=DECODER_ADDRESS_SPACE,
        )

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        for block in super().blocks(events):
            self._failed.clear()
            self._latest.ways.clear()
            yield block

    def _another_way(self) -> bool:
        """Return whether the child that ends now has left a way untried."""
        return bool(self._latest.ways) and self._latest.more_ways and len(self._failed) < MAX_FAILED

    def _new_stderr(self) -> FfmpegStderr:
        self._failed = [*self._failed, *self._latest.ways] if self._another_way() else []
        self._latest = FfmpegStderr()
        return self._latest

    def _task(self, restarts: int) -> bytes:
        return json.dumps({**self._settings, "failed": self._failed}).encode()


def stream_kind(scheme: str) -> Kind:
    """Return the kind of one URL scheme."""
    return Kind(form=f"{scheme}://", options=OPTIONS, open=_open)


def _open(uri: Uri, opening: Opening) -> Source:
    source = StreamSource(opening.id, uri, opening.supervision)
    if port := listening(uri.target):
        log.warning("%s: listens on %s; what any sender sends there is played", opening.id, port)
    return source


def _settings(uri: Uri) -> dict[str, object]:
    """Return the part of the tuner's task that does not change; SourceError for a URL or option that cannot work."""
    if len(uri.target) > MAX_URL or not uri.target.isprintable() or " " in uri.target:
        raise SourceError(uri.text[:80], "an address that is too long or holds spaces", "a URL")
    try:
        port_of(uri.target)
    except ValueError as exc:
        raise SourceError(uri.text, str(exc)) from None
    ca_file = uri.options.get("ca_file")
    if ca_file is not None and not expand_home(ca_file).is_file():
        raise SourceError(uri.text, f"ca_file={ca_file}: no such file", "a PEM file of certificates")
    return {
        "url": uri.target,
        "agent": f"genrewatch/{__version__}",
        "output": OUTPUT,
        "tls_verify": uri.choice("tls_verify", "yes", "no") == "yes",
        "ca_file": str(expand_home(ca_file)) if ca_file is not None else None,
        "private": uri.choice("private", "no", "yes") == "yes",
        "charset": _charset(uri),
    }


def _charset(uri: Uri) -> str | None:
    name = uri.options.get("charset")
    try:
        return codecs.lookup(name).name if name is not None else None
    except LookupError:
        raise SourceError(uri.text, f"charset={name}", "a code page such as windows-1251 or shift_jis") from None

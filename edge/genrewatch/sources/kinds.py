"""The table of source kinds, and how a configuration becomes sources.

    auto                                    the default microphone, or the demo programme where there is none
    mic:   mic:NAME                         a microphone by its identity or a part of its name
    monitor:  monitor:NAME                  what this machine plays, by PulseAudio or PipeWire
    alsa:DEVICE[?rate=48000&channels=2]     a sound card through arecord
    file:PATH[?pace=max]                    any file that ffmpeg reads, in real time or as fast as possible
    stdin:[?rate=44100&channels=2&format=s16le]   WAV, or raw PCM of the given format
    fifo:PATH[?rate=...]                    the same from a FIFO, whichever program writes to it
    cmd:COMMAND[?rate=...&restart=never]    a program that writes WAV or raw PCM
    http://HOST/PATH[#stall_s=5]            a stream or playlist; https, rtsp(s), rtmp(s), srt, udp, rtp, mmsh as well
    demo:[?pace=max&loop=no]                the built-in programme

Every kind takes `id=` (for topics; default the kind), `name=` (for people), `channel=` (left, right, mix or auto, which
leaves out what cancels or is dead) and, if it is live, `stall_s=` and `first_sound_s=`. To add a kind, write a module
that declares a `Kind` and add it to `KINDS`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from genrewatch.contract.errors import SourceError
from genrewatch.contract.ids import ID_CHARACTERS, is_id
from genrewatch.sources.alsa import ALSA
from genrewatch.sources.cmd import CMD
from genrewatch.sources.demo import DEMO
from genrewatch.sources.fifo import FIFO
from genrewatch.sources.file import FILE
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.mic import MIC
from genrewatch.sources.microphone.listing import microphones
from genrewatch.sources.monitor import MONITOR
from genrewatch.sources.source import Source
from genrewatch.sources.stdin import STDIN
from genrewatch.sources.stream import stream_kind
from genrewatch.sources.supervision import Supervision
from genrewatch.sources.tuner.addresses import SCHEMES
from genrewatch.sources.uri import SourceConfig, Uri, parse_uri


def open_sources(configs: Sequence[SourceConfig], *, retry_start: bool = False) -> list[Source]:
    """Open the sources of a configuration, each with an id of its own.

    With `retry_start` they wait for a microphone or command that cannot be opened at first; else that is a SourceError.
    """
    uris = [(config, resolve_auto(parse(config.uri))) for config in configs]
    if sum(uri.kind == "stdin" for _, uri in uris) > 1:
        raise SourceError("stdin:", "a second time", "one reader of standard input")
    ids = _ids([(config.id or uri.options.get("id"), uri) for config, uri in uris])
    return [
        KINDS[uri.kind].open(uri, Opening(id=source_id, supervision=_supervision(config, uri, retry_start=retry_start)))
        for source_id, (config, uri) in zip(ids, uris, strict=True)
    ]


def name_for_people(config: SourceConfig, source_id: str) -> str:
    """Return the name that a configuration gives a source, or else its id."""
    return config.name or parse(config.uri).options.get("name") or source_id


def kind_of(config: SourceConfig) -> str:
    """Return the kind of a source: `auto` as what it stands for."""
    return resolve_auto(parse(config.uri)).kind


def restarts(config: SourceConfig) -> bool:
    """Return whether a source that is opened again goes on with the sound of that moment."""
    return kind_of(config) not in ("file", "stdin", "demo") and parse(config.uri).options.get("restart") != "never"


def parse(text: str) -> Uri:
    """Parse a URI; SourceError on an unknown kind or option."""
    forms = ", ".join(kind.form for kind in KINDS.values())
    return parse_uri(text, {name: kind.options for name, kind in KINDS.items()}, forms)


def resolve_auto(uri: Uri) -> Uri:
    """Return `auto` as `mic` where there is a usable microphone, else as `demo`; any other URI unchanged."""
    if uri.kind != "auto":
        return uri
    try:
        return replace(uri, kind="mic" if any(device.usable for device in microphones()) else "demo")
    except SourceError:
        return replace(uri, kind="demo")


def _supervision(config: SourceConfig, uri: Uri, *, retry_start: bool) -> Supervision:
    stall_s = config.stall_s or uri.seconds("stall_s")
    first_sound_s = config.first_sound_s or uri.seconds("first_sound_s")
    limits = Supervision(retry_start=retry_start, first_sound_s=first_sound_s, channel=uri.channel())
    return limits if stall_s is None else replace(limits, stall_s=stall_s)


def _ids(wanted: list[tuple[str | None, Uri]]) -> list[str]:
    taken: list[str] = []
    for given, uri in wanted:
        if given is not None and not is_id(given):
            raise SourceError(uri.text, f"id {given!r}", ID_CHARACTERS)
        if given in taken:
            raise SourceError(uri.text, f"id {given!r} a second time", "an id of its own")
        free = (f"{uri.kind}{n}" if n > 1 else uri.kind for n in itertools.count(1))
        explicit = {other for other, _ in wanted if other}
        taken.append(given or next(name for name in free if name not in taken and name not in explicit))
    return taken


def _open_auto(uri: Uri, opening: Opening) -> Source:
    raise AssertionError(f"{uri.text} was not resolved")


KINDS = {
    "auto": Kind(form="auto", open=_open_auto),
    "mic": MIC,
    "monitor": MONITOR,
    "alsa": ALSA,
    "file": FILE,
    "stdin": STDIN,
    "fifo": FIFO,
    "cmd": CMD,
    "demo": DEMO,
    **{scheme: stream_kind(scheme) for scheme in SCHEMES},
}

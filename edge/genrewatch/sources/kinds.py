"""The kinds of source: how each is written, which options it takes and how it is opened.

    auto                                    the default microphone, or the demo programme where there is none
    mic:   mic:NAME                         a microphone by its identity or a part of its name
    alsa:DEVICE[?rate=48000&channels=2]     a sound card through arecord
    file:PATH[?pace=max]                    any file that ffmpeg reads, in real time or as fast as possible
    stdin:[?rate=44100&channels=2&format=s16le]   WAV, or raw PCM of the given format
    fifo:PATH[?rate=...]                    the same from a FIFO, whoever writes to it
    cmd:COMMAND[?rate=...&restart=never]    a program that writes WAV or raw PCM
    http://HOST/PATH[#stall_s=5]            a stream or playlist; https, rtsp, rtmp, srt, udp, rtp, mmsh as well
    demo:[?pace=max&loop=no]                the built-in programme

Every kind takes `id=` (for topics; default the kind), `name=` (for people) and, if it is live, `stall_s=` as well.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from genrewatch import programme
from genrewatch.audio.decoding import decode_file
from genrewatch.audio.pcm import Block
from genrewatch.contract.errors import SourceError
from genrewatch.contract.ids import ID_CHARACTERS, is_id
from genrewatch.host.paths import expand_home
from genrewatch.host.shell_words import split_command
from genrewatch.sources.alsa import alsa_source
from genrewatch.sources.child import ChildSource
from genrewatch.sources.kind import Kind, Opening
from genrewatch.sources.microphone.listing import microphone_command, microphones
from genrewatch.sources.pacing import Pace, PacedSource
from genrewatch.sources.pipe import FifoSource, StdinSource
from genrewatch.sources.source import Source
from genrewatch.sources.stream import StreamSource
from genrewatch.sources.supervision import Supervision
from genrewatch.sources.tuner import SCHEMES
from genrewatch.sources.uri import PCM_KEYS, SourceConfig, Uri, parse_uri


def open_sources(configs: Sequence[SourceConfig], *, patient: bool = False) -> list[Source]:
    """The sources that a configuration names, each with an id of its own.

    `patient` ones wait for a microphone or command that cannot be opened at first; else that is a SourceError.
    """
    uris = [(config, resolved(parse(config.uri))) for config in configs]
    if sum(uri.kind == "stdin" for _, uri in uris) > 1:
        raise SourceError("stdin:", "a second time", "one reader of standard input")
    ids = _ids([(config.id or uri.options.get("id"), uri) for config, uri in uris])
    return [
        KINDS[uri.kind].open(uri, Opening(id=source_id, supervision=_supervision(config, uri, patient=patient)))
        for source_id, (config, uri) in zip(ids, uris, strict=True)
    ]


def name_for_people(config: SourceConfig, source_id: str) -> str:
    """The name that a configuration gives a source, or else its id."""
    return config.name or parse(config.uri).options.get("name") or source_id


def parse(text: str) -> Uri:
    """Takes a URI apart; SourceError on an unknown kind or option."""
    forms = ", ".join(kind.form for kind in KINDS.values())
    return parse_uri(text, {name: kind.options for name, kind in KINDS.items()}, forms)


def resolved(uri: Uri) -> Uri:
    """`auto` becomes what there is, and keeps its options."""
    if uri.kind != "auto":
        return uri
    try:
        return replace(uri, kind="mic" if any(device.usable for device in microphones()) else "demo")
    except SourceError:
        return replace(uri, kind="demo")


def _supervision(config: SourceConfig, uri: Uri, *, patient: bool) -> Supervision:
    stall_s = config.stall_s or uri.seconds("stall_s")
    limits = Supervision(retry_start=patient)
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


def _auto(uri: Uri, opening: Opening) -> Source:
    raise AssertionError(f"{uri.text} was not resolved")


def _mic(uri: Uri, opening: Opening) -> Source:
    command = microphone_command(uri.target, stall_s=opening.supervision.stall_s)
    return ChildSource(opening.id, command, None, opening.supervision)


def _alsa(uri: Uri, opening: Opening) -> Source:
    return alsa_source(opening.id, uri, opening.supervision)


def _cmd(uri: Uri, opening: Opening) -> Source:
    restart = uri.choice("restart", "always", "never") == "always"
    supervision = replace(opening.supervision, restart=restart)
    return ChildSource(opening.id, split_command(uri.target, uri.text), uri.pcm(), supervision)


def _stream(uri: Uri, opening: Opening) -> Source:
    return StreamSource(opening.id, uri, opening.supervision)


def _stdin(uri: Uri, opening: Opening) -> Source:
    return StdinSource(opening.id, uri.pcm(), stall_s=opening.supervision.stall_s)


def _fifo(uri: Uri, opening: Opening) -> Source:
    if not uri.target:
        raise SourceError(uri.text, "no path", "fifo:PATH")
    limits = opening.supervision
    return FifoSource(
        opening.id, expand_home(uri.target), uri.pcm(), stall_s=limits.stall_s, patient=limits.retry_start
    )


def _file(uri: Uri, opening: Opening) -> Source:
    if not uri.target:
        raise SourceError(uri.text, "no path", "file:PATH")
    path = expand_home(uri.target)
    return PacedSource(opening.id, lambda: decode_file(path), pace=_pace(uri))


def _demo(uri: Uri, opening: Opening) -> Source:
    loop = uri.choice("loop", "yes", "no") == "yes"
    return PacedSource(opening.id, lambda: _programme(loop=loop), pace=_pace(uri))


def _pace(uri: Uri) -> Pace:
    return "max" if uri.choice("pace", "real", "max") == "max" else "real"


def _programme(*, loop: bool) -> Iterator[Block]:
    for seed in itertools.count() if loop else (0,):
        for samples in programme.programme_blocks(seed=seed):
            yield Block(samples=samples, sample_rate=programme.SAMPLE_RATE)


KINDS = {
    "auto": Kind(form="auto", options=(), open=_auto),
    "mic": Kind(form="mic:NAME", options=(), open=_mic),
    "alsa": Kind(form="alsa:DEVICE", options=("rate", "channels"), open=_alsa),
    "file": Kind(form="file:PATH", options=("pace",), open=_file),
    "stdin": Kind(form="stdin:", options=PCM_KEYS, open=_stdin),
    "fifo": Kind(form="fifo:PATH", options=PCM_KEYS, open=_fifo),
    "cmd": Kind(form="cmd:COMMAND", options=(*PCM_KEYS, "restart"), open=_cmd),
    "demo": Kind(form="demo:", options=("pace", "loop"), open=_demo),
    **{scheme: Kind(form=f"{scheme}://", options=("restart",), open=_stream) for scheme in SCHEMES},
}

"""Source URIs: `kind:target?key=value&...`, read strictly.

    auto                                    the default microphone, or the demo programme where there is none
    mic:   mic:NAME                         a microphone by a part of its name
    file:PATH[?pace=max]                    any file that ffmpeg reads, in real time or as fast as possible
    stdin:[?rate=44100&channels=2&format=s16le]   WAV, or raw PCM of the given format
    cmd:COMMAND[?rate=...&restart=never]    a program that writes WAV or raw PCM
    demo:[?pace=max&loop=no]                the built-in programme

Every kind takes `id=` (for topics; default the kind) as well.
"""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl

from edge import programme
from edge.audio import decode_file
from edge.contract.errors import SourceError
from edge.contract.ids import ID_CHARACTERS, is_id
from edge.paths import expand_home
from edge.pcm import ENCODINGS, Block, PcmFormat
from edge.sources.child import ChildSource, Watch, split_command
from edge.sources.pacing import Pace, PacedSource, StdinSource
from edge.sources.source import Source

PCM_KEYS = ("rate", "channels", "format")
KEYS = {
    "auto": (),
    "mic": (),
    "file": ("pace",),
    "stdin": PCM_KEYS,
    "cmd": (*PCM_KEYS, "restart"),
    "demo": ("pace", "loop"),
}
MICROPHONE = [sys.executable, "-m", "edge.sources.microphone"]
LIST_TIMEOUT_S = 15.0


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """A `[[source]]` table, or a `--source` on the command line."""

    uri: str
    """Where the sound comes from."""
    id: str | None = None
    """Name in topics, letters, digits, _ and -; default the kind, numbered when there are several."""


@dataclass(frozen=True, kw_only=True)
class Uri:
    """A source URI taken apart."""

    text: str
    kind: str
    target: str
    options: dict[str, str]

    def choice(self, key: str, *choices: str) -> str:
        """The value of an option, the first choice when it is absent."""
        value = self.options.get(key, choices[0])
        if value not in choices:
            raise SourceError(self.text, f"{key}={value}", f"{key}=" + " or ".join(choices))
        return value

    def integer(self, key: str, default: int) -> int:
        """The value of an option that is a number."""
        value = self.options.get(key, str(default))
        if not value.isdecimal():
            raise SourceError(self.text, f"{key}={value}", f"{key}=NUMBER")
        return int(value)


def parse_uri(text: str) -> Uri:
    """Takes a URI apart; SourceError on an unknown kind or option."""
    kind, colon, rest = text.partition(":")
    if kind not in KEYS or (not colon and kind != "auto"):
        raise SourceError(text, "not a source", "auto, mic:, mic:NAME, file:PATH, stdin:, cmd:COMMAND or demo:")
    known = {*KEYS[kind], "id"}
    target, mark, query = rest.rpartition("?")
    pairs = parse_qsl(query, keep_blank_values=True) if mark else []
    if not mark or not pairs or (kind in ("cmd", "file") and not all(key in known for key, _ in pairs)):
        target, pairs = rest, []  # a ? that belongs to the command or the file name
    for key, _ in pairs:
        if key not in known:
            raise SourceError(text, f"unknown option {key}", " or ".join(sorted(known)))
    return Uri(text=text, kind=kind, target=target, options=dict(pairs))


def open_sources(configs: Sequence[SourceConfig], *, patient: bool = False) -> list[Source]:
    """The sources that a configuration names, each with an id of its own.

    `patient` ones wait for a microphone or command that cannot be opened at first; else that is a SourceError.
    """
    uris = [(config, _resolve(parse_uri(config.uri))) for config in configs]
    if sum(uri.kind == "stdin" for _, uri in uris) > 1:
        raise SourceError("stdin:", "a second time", "one reader of standard input")
    ids = _ids([(config.id or uri.options.get("id"), uri) for config, uri in uris])
    return [_open(uri, source_id, patient=patient) for source_id, (_, uri) in zip(ids, uris, strict=True)]


def microphones() -> list[dict[str, object]]:
    """What input devices there are, asked of a child process; SourceError with the reason when that cannot be said."""
    try:
        answer = subprocess.run([*MICROPHONE, "--list"], capture_output=True, text=True, timeout=LIST_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise SourceError("microphone", f"no answer from the sound system in {LIST_TIMEOUT_S:g} s") from None
    if answer.returncode != 0:
        lines = answer.stderr.strip().splitlines()
        raise SourceError("microphone", lines[-1] if lines else f"exit code {answer.returncode}")
    return [json.loads(line) for line in answer.stdout.splitlines()]


def _resolve(uri: Uri) -> Uri:
    """`auto` becomes what there is, and keeps its options."""
    if uri.kind != "auto":
        return uri
    try:
        return replace(uri, kind="mic" if microphones() else "demo")
    except SourceError:
        return replace(uri, kind="demo")


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


def _open(uri: Uri, source_id: str, *, patient: bool) -> Source:
    match uri.kind:
        case "file":
            path = _file(uri)
            return PacedSource(source_id, lambda: decode_file(path), pace=_pace(uri))
        case "demo":
            loop = uri.choice("loop", "yes", "no") == "yes"
            return PacedSource(source_id, lambda: _demo(loop=loop), pace=_pace(uri))
        case "stdin":
            return StdinSource(source_id, _pcm(uri))
        case "cmd":
            restart = uri.choice("restart", "always", "never") == "always"
            watch = Watch(restart=restart, patient=patient)
            return ChildSource(source_id, split_command(uri.target), _pcm(uri), watch)
        case _:
            return ChildSource(source_id, [*MICROPHONE, uri.target], None, Watch(patient=patient))


def _file(uri: Uri) -> Path:
    if not uri.target:
        raise SourceError(uri.text, "no path", "file:PATH")
    return expand_home(uri.target)


def _pace(uri: Uri) -> Pace:
    return "max" if uri.choice("pace", "real", "max") == "max" else "real"


def _demo(*, loop: bool) -> Iterator[Block]:
    for seed in itertools.count() if loop else (0,):
        for samples in programme.programme_blocks(seed=seed):
            yield Block(samples=samples, sample_rate=programme.SAMPLE_RATE)


def _pcm(uri: Uri) -> PcmFormat | None:
    """The raw format that the options describe; None, for a WAV header, when there are none."""
    if not any(key in uri.options for key in PCM_KEYS):
        return None
    if "rate" not in uri.options:
        raise SourceError(uri.text, "raw PCM without its rate", "?rate=SAMPLES_PER_SECOND")
    encoding = uri.choice("format", *ENCODINGS)
    return PcmFormat(
        rate=uri.integer("rate", 0),
        channels=uri.integer("channels", 1),
        encoding=next(known for known in ENCODINGS if known == encoding),
    )

"""Source URIs, read strictly: `kind:target?key=value&...`; and URLs, whose own ? stays theirs: `url#key=value&...`.

`kinds` has the table of kinds and their options.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from genrewatch.audio.mix import CHANNELS, Channel
from genrewatch.audio.pcm import ENCODINGS, PcmFormat
from genrewatch.contract.decode import Unlimited
from genrewatch.contract.errors import SourceError, require
from genrewatch.contract.vote import VoteOverrides
from genrewatch.host.local_hours import check_hours
from genrewatch.host.untrusted_text import redact_url, redact_urls

PCM_KEYS = ("rate", "channels", "format")
COMMON_KEYS = ("id", "name", "channel", "stall_s", "first_sound_s")


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """A `[[source]]` table, or a `--source` on the command line."""

    uri: str
    """Source of the sound, as `kind:target`."""
    id: str | None = None
    """Name in topics, letters, digits, _ and -; default the kind, numbered when there are several."""
    name: str | None = None
    """Name for people, any text; default the id."""
    suggested_area: str | None = None
    """Area that Home Assistant gives the source's device when it is discovered first, as `Living room`."""
    stall_s: float | None = None
    """Seconds without sound after which a live source is restarted, 0.2 to 3600; default 8."""
    first_sound_s: Unlimited | None = None
    """Seconds that a live source may take to its first sound, 0.2 to 3600, or `inf` for a program that is silent while
    idle; default 2.5 times `stall_s`, which is 20."""
    listening_hours: tuple[str, ...] = ()
    """Local hours in which it is switched on, as `08:00-18:00`, `mon-fri 22:00-06:00`; default always."""
    quiet_hours: tuple[str, ...] = ()
    """Local hours in which its events run no hooks."""
    expected_genres: tuple[str, ...] = ()
    """Genres that it should play; the event `unexpected_genre` reports that it plays none of them."""
    expected_hours: tuple[str, ...] = ()
    """Local hours in which they are expected; default always."""
    expected_after_s: float = 600.0
    """Seconds of sound without any of them before the event, 10 to 86400."""
    vote: VoteOverrides = VoteOverrides()
    """Settings of this source's vote that differ from `[vote]`."""

    def __post_init__(self) -> None:
        area = self.suggested_area
        require(area is None or (area.strip() != "" and area.isprintable()), "suggested_area", repr(area), "a name")
        for key in ("listening_hours", "quiet_hours", "expected_hours"):
            check_hours(getattr(self, key), key)
        require(10 <= self.expected_after_s <= 86_400, "expected_after_s", self.expected_after_s, "10 to 86400")
        check_stall(self.stall_s, "stall_s")
        check_first_sound(self.first_sound_s, "first_sound_s")


@dataclass(frozen=True, kw_only=True)
class Uri:
    """A parsed source URI."""

    text: str
    """The URI for messages, without its password."""
    kind: str
    target: str
    """A whole URL, or the part after the colon."""
    options: dict[str, str]

    def choice(self, key: str, *choices: str) -> str:
        """Return the value of an option, the first choice when it is absent."""
        value = self.options.get(key, choices[0])
        if value not in choices:
            raise SourceError(self.text, f"{key}={value}", f"{key}=" + " or ".join(choices))
        return value

    def channel(self) -> Channel:
        """Return the channel that is taken of several."""
        name = self.choice("channel", *CHANNELS)
        return next(known for known in CHANNELS if known == name)

    def integer(self, key: str, default: int) -> int:
        """Return the value of an option that is a whole number."""
        value = self.options.get(key, str(default))
        if not value.isdecimal():
            raise SourceError(self.text, f"{key}={value}", f"{key}=NUMBER")
        return int(value)

    def seconds(self, key: str) -> float | None:
        """Return the value of an option in seconds; None when it is absent."""
        if key not in self.options:
            return None
        try:
            value = float(self.options[key])
        except ValueError:
            raise SourceError(self.text, f"{key}={self.options[key]}", f"{key}=SECONDS") from None
        check = check_first_sound if key == "first_sound_s" else check_stall
        check(value, f"{self.text}: {key}")
        return value

    def pcm(self) -> PcmFormat | None:
        """Return the raw format that the options describe; None, for a WAV header, when there are none."""
        if not any(key in self.options for key in PCM_KEYS):
            return None
        if "rate" not in self.options:
            raise SourceError(self.text, "raw PCM without its rate", "?rate=SAMPLES_PER_SECOND")
        encoding = self.choice("format", *ENCODINGS)
        return PcmFormat(
            rate=self.integer("rate", 0),
            channels=self.integer("channels", 1),
            encoding=next(known for known in ENCODINGS if known == encoding),
        )


def parse_uri(text: str, options_of: Mapping[str, tuple[str, ...]], forms: str) -> Uri:
    """Parse a URI; SourceError, with the known `forms`, on a kind or option that is not in `options_of`."""
    kind, colon, rest = text.partition(":")
    shown = redact_url(text) if rest.startswith("//") else redact_urls(text, keep_path=True)
    if kind not in options_of or (not colon and kind != "auto"):
        raise SourceError(shown, "not a source", forms)
    known = {*options_of[kind], *COMMON_KEYS}
    is_url = rest.startswith("//")
    target, mark, query = rest.rpartition("#" if is_url else "?")
    pairs = parse_qsl(query, keep_blank_values=True) if mark else []
    if not pairs or (kind in ("cmd", "file", "fifo") and not all(key in known for key, _ in pairs)):
        target, pairs = rest, []  # the ? belongs to the command or the file name
    for key, _ in pairs:
        if key not in known:
            raise SourceError(shown, f"unknown option {key}", " or ".join(sorted(known)))
    return Uri(
        text=shown,
        kind=kind,
        target=f"{kind}:{target}" if is_url else target,
        options=dict(pairs),
    )


def check_stall(value: float | None, where: str) -> None:
    """Raise ConfigError for a stall time out of range."""
    require(value is None or 0.2 <= value <= 3600, where, value, "0.2 to 3600")


def check_first_sound(value: float | None, where: str) -> None:
    """Raise ConfigError for a time to the first sound out of range."""
    require(value is None or value == math.inf or 0.2 <= value <= 3600, where, value, "0.2 to 3600, or inf")

"""HLS: the one variant to play, and playlists whose addresses lead through `LocalServer`."""

import itertools
import re
from collections.abc import Callable

from genrewatch.sources.tuner.addresses import joined

ENOUGH_BITS_PER_S = 320_000
"""Sound of more than this is not worth its traffic."""
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')
_URI = re.compile(r'URI=(?:"([^"]*)"?|([^",\s]*))')  # ffmpeg also takes it without quotes
_VIDEO = re.compile(r"avc|hvc|hev|av01|vp0?[89]|mp4v", re.IGNORECASE)
_STREAM, _MEDIA = "#EXT-X-STREAM-INF:", "#EXT-X-MEDIA:"

Attributes = dict[str, str]


def is_hls(text: str) -> bool:
    """Return whether a playlist is HLS and not a list of stations."""
    return "#EXT-X-" in text


def variant(text: str, base: str) -> str | None:
    """Return the address of the variant to play; None where the playlist has segments instead of variants."""
    lines = [line.strip() for line in text.splitlines()]
    variants = [
        (_attributes(line.removeprefix(_STREAM)), following)
        for line, following in itertools.pairwise(lines)
        if line.startswith(_STREAM) and following and not following.startswith("#")
    ]
    if not variants:
        return None
    attributes, address = min(variants, key=lambda found: _cost(found[0]))
    renditions = [_attributes(line.removeprefix(_MEDIA)) for line in lines if line.startswith(_MEDIA)]
    return joined(base, _rendition(renditions, attributes.get("AUDIO")) or address)


def rewritten(text: str, base: str, local: Callable[[str], str]) -> str:
    """Return a playlist in which every address, of segments and of keys, is replaced by `local` of it."""

    def line(given: str) -> str:
        given = given.strip()
        if given.startswith("#"):
            return _URI.sub(lambda found: f'URI="{local(joined(base, found[1] or found[2] or ""))}"', given)
        return local(joined(base, given)) if given else ""

    return "\n".join(line(given) for given in text.splitlines()) + "\n"


def _cost(attributes: Attributes) -> tuple[bool, bool, int]:
    """Return a key that sorts the variant to play first: without video, not too large, then the best sound."""
    bandwidth = int(found[0]) if (found := re.match(r"\d+", attributes.get("BANDWIDTH", ""))) else 0
    video = bool(_VIDEO.search(attributes.get("CODECS", ""))) or "RESOLUTION" in attributes
    large = video or bandwidth > ENOUGH_BITS_PER_S
    return video, large, bandwidth if large else -bandwidth


def _rendition(renditions: list[Attributes], group: str | None) -> str | None:
    """Return the address of the audio rendition of a group, its default if it has one."""
    found = [r for r in renditions if r.get("TYPE") == "AUDIO" and r.get("GROUP-ID") == group and r.get("URI")]
    found.sort(key=lambda rendition: rendition.get("DEFAULT") != "YES")
    return found[0]["URI"] if group and found else None


def _attributes(text: str) -> Attributes:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}

"""The kind of a document, from its content type and its first bytes; never from its address alone."""

import re
from typing import Literal

from genrewatch.sources.tuner.http import Response

START_LIMIT = 4096
"""Bytes of a document that are read before its kind is known."""
Kind = Literal["playlist", "page", "sound"]

PLAYLIST_TYPES = frozenset(
    [
        "audio/x-mpegurl",
        "audio/mpegurl",
        "application/x-mpegurl",
        "application/mpegurl",
        "application/vnd.apple.mpegurl",
        "application/vnd.apple.mpegurl.audio",
        "audio/x-scpls",
        "audio/scpls",
        "application/pls+xml",
        "application/x-scpls",
        "application/xspf+xml",
        "audio/x-ms-wax",
        "video/x-ms-wvx",
        "video/x-ms-wmx",
        "application/x-winamp-playlist",
        "audio/vnd.rn-realaudio",
        "audio/x-pn-realaudio",
    ]
)
DEMUXERS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/mpeg3": "mp3",
    "audio/x-mpeg": "mp3",
    "audio/x-mp3": "mp3",
    "audio/aac": "aac",
    "audio/aacp": "aac",
    "audio/x-aac": "aac",
    "audio/x-aacp": "aac",
    "application/ogg": "ogg",
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "audio/vorbis": "ogg",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/webm": "matroska",
    "video/webm": "matroska",
    "video/mp2t": "mpegts",
    "audio/mp4": "mov",
    "audio/x-m4a": "mov",
    "video/mp4": "mov",
}
"""ffmpeg's demuxer by content type; a demuxer that is named needs no probing, which takes seconds of MP3."""
_MAGIC = (
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
)
_PLAYLIST = re.compile(r"^\s*(?:#EXTM3U|#EXT-X-|\[playlist\]|\[reference\]|<asx\b)", re.IGNORECASE)
_XSPF = re.compile(r"^\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:playlist|asx)\b", re.IGNORECASE | re.DOTALL)
_PAGE = re.compile(r"^\s*(?:<!doctype html|<html|<head|<body)", re.IGNORECASE)
_ADDRESSES = re.compile(r"^(?:\s*#[^\n]*\n)*\s*[a-z]{3,6}://\S+\s*(?:\n|$)", re.IGNORECASE)
_PLAYLIST_PATH = re.compile(r"\.(?:m3u8?|pls|asx|wax|wvx|xspf|ram|ashx)$", re.IGNORECASE)


def kind_of(response: Response, start: bytes) -> Kind:
    """Return what a document is, given its first bytes."""
    if demuxer_of_bytes(start):
        return "sound"
    text = start.decode("utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1", "ignore")
    text = text.removeprefix("\xef\xbb\xbf").removeprefix("\ufeff")
    if _PLAYLIST.match(text) or _XSPF.match(text):
        return "playlist"
    if _PAGE.match(text):
        return "page"
    if "\0" in text:
        return "sound"
    named = response.content_type in PLAYLIST_TYPES or _PLAYLIST_PATH.search(response.url.partition("?")[0])
    if named and response.content_type not in DEMUXERS:
        return "playlist"
    return "playlist" if _ADDRESSES.match(text) else "sound"


def demuxer_of(content_type: str, start: bytes) -> str | None:
    """Return ffmpeg's demuxer for sound; None where ffmpeg must find it."""
    return demuxer_of_bytes(start) or DEMUXERS.get(content_type)


def demuxer_of_bytes(start: bytes) -> str | None:
    """Return the demuxer of what begins with a mark of its own, whatever its content type."""
    if start[:4] in (b"RIFF", b"RF64") and start[8:12] == b"WAVE":
        return "wav"
    if start[4:8] == b"ftyp":
        return "mov"
    if start[:1] == b"\x47" and start[188:189] == b"\x47":
        return "mpegts"
    if _is_adts(start):
        return "aac"
    return next((demuxer for magic, demuxer in _MAGIC if start.startswith(magic)), None)


def _is_adts(start: bytes) -> bool:
    """Return whether three AAC frames follow one another, from any byte on."""
    return any(_adts_frames(start, found.start()) >= 3 for found in re.finditer(rb"\xff[\xf0\xf1\xf8\xf9]", start))


def _adts_frames(data: bytes, position: int) -> int:
    count = 0
    while count < 3 and position + 6 < len(data) and data[position] == 0xFF and data[position + 1] & 0xF6 == 0xF0:
        length = (data[position + 3] & 3) << 11 | data[position + 4] << 3 | data[position + 5] >> 5
        if length < 8:
            break
        position, count = position + length, count + 1
    return count

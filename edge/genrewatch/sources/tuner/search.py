"""The search for a station that can be opened, depth-first through playlists."""

import zlib
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from genrewatch.sources.tuner import content, hls, icy
from genrewatch.sources.tuner.addresses import SCHEMES
from genrewatch.sources.tuner.connection import Access
from genrewatch.sources.tuner.ffmpeg_input import FfmpegInput, fed, opened, served
from genrewatch.sources.tuner.http import Response, open_url, pushed_back, read_all
from genrewatch.sources.tuner.playlist import decode, entries

MAX_DEPTH = 5
MAX_OPENED = 60
MAX_PLAYLIST_BYTES = 1 << 20
START_BYTES = 64

Print = Callable[[str], None]


class Search:
    """One search. A way is an address and a manner of opening it; ways that gave no sound before are left out."""

    def __init__(self, access: Access, failed: set[str], charset: str | None, print_line: Print) -> None:
        """`failed` are the keys of ways; `print_line` receives the lines that `FfmpegStderr` reads."""
        self._access, self._failed, self._charset, self._print = access, failed, charset, print_line
        self._pending: deque[tuple[str, int]] = deque()

    def find(self, url: str) -> FfmpegInput:
        """Return the first way that can be opened; OSError or ValueError of the last one where there is none."""
        self._pending.append((url, 0))
        error: Exception | None = None
        for _ in range(MAX_OPENED):
            if not self._pending:
                break
            entry, depth = self._pending.popleft()
            try:
                found = self._open(entry, depth)
            except (OSError, ValueError) as exc:
                error = exc
                continue
            if found:
                return found
        if error is None and self._failed:  # each has had its turn
            self._failed.clear()
            return self.find(url)
        raise error or ValueError("a playlist without an address")

    def _open(self, url: str, depth: int) -> FfmpegInput | None:
        """Return the input for an address; None where it is a playlist, whose entries are now pending."""
        if depth:
            self._access.reach.check(url)
        scheme = urlsplit(url).scheme
        if scheme not in SCHEMES:
            raise ValueError(f"a {scheme or 'local'} address is not allowed in a playlist")
        manners = ("first", "second") if scheme in ("http", "https", "rtsp", "rtsps") else ("first",)
        left = [manner for manner in manners if _key(url, manner) not in self._failed]
        if not left:
            return None
        self._announce(url, left[0], more=len(left) > 1)
        try:
            if scheme in ("http", "https"):
                return self._open_http(url, depth, first=left[0] == "first")
            return opened(url, self._access, self._print_error, video=left[0] == "second")
        except (OSError, ValueError):
            self._announce(url, "second", more=False)
            raise

    def _announce(self, url: str, manner: str, *, more: bool) -> None:
        others = any(_key(entry, "second") not in self._failed for entry, _ in self._pending)
        self._print(f"[info] tuner: way {_key(url, manner)} {'more' if more or others else 'last'}")

    def _open_http(self, url: str, depth: int, *, first: bool) -> FfmpegInput | None:
        response = open_url(url, self._access)
        if name := response.headers.get("icy-name"):
            self._print_text("station", name.encode("latin-1"))
        interval = response.headers.get("icy-metaint", "")
        read = response.read
        if interval.isdecimal() and int(interval):
            read = icy.without_metadata(read, int(interval), lambda title: self._print_text("title", title))
        start = b""
        while len(start) < START_BYTES and (piece := read(content.START_LIMIT)):
            start += piece
        kind = content.kind_of(response, start)
        if kind == "playlist":
            return self._follow(url, response, start, depth)
        if kind == "page":
            raise ValueError("a web page, not a stream")
        demuxer = content.demuxer_of(response.content_type, start) if first else None
        if not demuxer:
            self._announce(url, "second", more=False)
        if demuxer == "mov":  # ffmpeg must seek in it
            response.close()
            return served(url, self._access, demuxer, self._print_error)
        return fed(pushed_back(start, read), demuxer)

    def _follow(self, url: str, response: Response, start: bytes, depth: int) -> FfmpegInput | None:
        text = decode(start + read_all(response, MAX_PLAYLIST_BYTES), _charset_of(response))
        response.close()
        if hls.is_hls(text):
            self._announce(url, "second", more=False)
            chosen = hls.variant(text, response.url)
            login = urlsplit(url).netloc.rpartition("@")[0]
            return served(_with_login(chosen or url, url, login), self._access, "hls", self._print_error)
        if depth >= MAX_DEPTH:
            raise ValueError("playlists that lead to playlists without an end")
        found = entries(text, response.url)
        if not found:
            raise ValueError("a playlist without an address")
        self._print("[info] tuner: playlist")
        self._pending.extendleft((entry, depth + 1) for entry in reversed(found))
        return None

    def _print_text(self, what: str, text: bytes) -> None:
        decoded = " ".join(decode(text, self._charset).split())
        self._print(f"[info] tuner: {what} {decoded}")

    def _print_error(self, text: str) -> None:
        self._print(f"[error] tuner: {text}")


def _charset_of(response: Response) -> str | None:
    return response.headers.get("content-type", "").lower().partition("charset=")[2].strip(" \"';") or None


def _with_login(url: str, own: str, login: str) -> str:
    """Return a URL with the login of the URL that led to it, if both are of one host."""
    parts, host = urlsplit(url), urlsplit(own).netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{login}@{host}").geturl() if login and parts.netloc == host else url


def _key(url: str, manner: str) -> str:
    return f"{zlib.crc32(f'{manner} {url}'.encode()):08x}"

"""Tunes in to a URL: resolves playlists, then becomes ffmpeg. Run by its path, on the standard library alone.

What it is to do comes as JSON on standard input, so that no password is in the list of processes before ffmpeg is.
A URL with a password reaches ffmpeg through a pipe as well; only the station's name is not known then.
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import Request, urlopen

SCHEMES = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp", "mmsh")
ALLOWED = (
    "http,https,httpproxy,tcp,tls,crypto,udp,rtp,srtp,srt,rtmp,rtmps,rtmpt,rtmpts,ffrtmphttp,mmsh"  # nothing local
)
PLAYLIST = re.compile(r"\b(?:m3u8?|pls|ashx)\b", re.IGNORECASE)
LONGEST_PLAYLIST = 65_536
MOST_HOPS = 5


def main() -> None:
    """Never returns: becomes ffmpeg, or ends with a line that says why not."""
    told = json.loads(sys.stdin.buffer.read())
    try:
        url, paced = resolve(told["url"], told["lives"], told["timeout_s"], told["agent"])
        program = shutil.which("ffmpeg")
        if program is None:
            raise ValueError("ffmpeg is not installed")
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # which Python ignores, and ffmpeg would inherit
        os.execv(program, command(program, url, paced=paced or told["paced"], told=told))
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "reason", None)
        why = f"{exc.code} {reason}" if hasattr(exc, "code") else getattr(reason, "strerror", None) or str(exc)
        sys.exit(f"[error] tuner: {why.splitlines()[0] if why else type(exc).__name__}")


def resolve(url: str, lives: int, timeout_s: float, agent: str) -> tuple[str, bool]:
    """The address behind playlists, the next entry in each life, and whether it is HLS; ValueError, OSError."""
    for _ in range(MOST_HOPS):
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(f"a {parts.scheme or 'local'} address is not allowed in a playlist")
        if parts.scheme not in ("http", "https") or not PLAYLIST.search(f"{parts.path}?{parts.query}"):
            return url, False
        data, base = fetch(url, timeout_s, agent)
        if "#EXT-X-" in data:
            return url, True
        found = entries(data, base)
        if not found:
            return url, False
        url = found[lives % len(found)]
    raise ValueError("playlists that lead to playlists without an end")


def fetch(url: str, timeout_s: float, agent: str) -> tuple[str, str]:
    """The beginning of what is there, as text, and its address after redirects; the login stays with its host."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    request = Request(parts._replace(netloc=host, fragment="").geturl(), headers={"User-Agent": agent})
    if login:
        basic = base64.b64encode(unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {basic}")
    with urlopen(request, timeout=timeout_s) as answer:
        return answer.read(LONGEST_PLAYLIST).decode("utf-8", "replace").lstrip("\ufeff"), answer.url


def entries(text: str, base: str) -> list[str]:
    """The addresses in an .m3u or .pls; none where the text is neither."""
    if "\0" in text or "\ufffd" in text:
        return []
    lines = [line.strip() for line in text.splitlines()]
    if "[playlist]" in (line.lower() for line in lines):
        lines = [line.partition("=")[2].strip() for line in lines if re.match(r"file\d+\s*=", line, re.IGNORECASE)]
    return [urljoin(base, line) for line in lines if line and not line.startswith(("#", "<"))]


def command(program: str, url: str, *, paced: bool, told: dict[str, Any]) -> list[str]:
    """ffmpeg's arguments; a URL with a password is put on standard input instead."""
    scheme = urlsplit(url).scheme
    micros = str(round(1e6 * told["timeout_s"]))
    words = [program, "-nostdin", "-nostats", "-hide_banner", "-loglevel", "level+verbose"]
    words += ["-re"] if paced else []  # HLS comes a whole piece at a time
    if scheme in ("rtsp", "rtsps"):
        words += [rtsp_timeout(program), micros, "-rtsp_flags", "prefer_tcp", "-allowed_media_types", "audio"]
    elif "@" in urlsplit(url).netloc and "'" not in url and "\n" not in url:
        reader, writer = os.pipe()
        os.write(writer, f"ffconcat version 1.0\nfile '{url}'\n".encode())
        os.close(writer)
        os.dup2(reader, 0)
        words += ["-f", "concat", "-safe", "0", "-rw_timeout", micros, "-protocol_whitelist", f"pipe,{ALLOWED}"]
        return [*words, "-i", "pipe:0", *told["output"]]
    elif scheme in ("http", "https"):
        words += ["-rw_timeout", micros, "-user_agent", told["agent"]]
    else:
        words += ["-rw_timeout", micros]
    return [*words, "-protocol_whitelist", ALLOWED, "-i", url, *told["output"]]


def rtsp_timeout(program: str) -> str:
    """What this ffmpeg calls the time limit of a socket: before version 5 `-timeout` meant another thing."""
    asked = subprocess.run([program, "-hide_banner", "-h", "demuxer=rtsp"], capture_output=True, text=True, timeout=5)
    return "-stimeout" if "-stimeout" in asked.stdout else "-timeout"


if __name__ == "__main__":
    main()

"""The program that resolves a URL's playlists and then becomes ffmpeg. Run by path, with the standard library only.

Its task comes as JSON on standard input, so that no password appears in the list of processes. A URL with a password
reaches ffmpeg through a pipe as well; then the station's name is not known.
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
MAX_PLAYLIST_BYTES = 65_536
MAX_HOPS = 5


def main() -> None:
    """Become ffmpeg, or exit with one line that explains why not."""
    task = json.loads(sys.stdin.buffer.read())
    try:
        url, paced = resolve(task["url"], task["restarts"], task["timeout_s"], task["agent"])
        program = shutil.which("ffmpeg")
        if program is None:
            raise ValueError("ffmpeg is not installed")
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # which Python ignores, and ffmpeg would inherit
        os.execv(program, command(program, url, task, paced=paced or task["paced"]))
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "reason", None)
        why = f"{exc.code} {reason}" if hasattr(exc, "code") else getattr(reason, "strerror", None) or str(exc)
        sys.exit(f"[error] tuner: {why.splitlines()[0] if why else type(exc).__name__}")


def resolve(url: str, restarts: int, timeout_s: float, agent: str) -> tuple[str, bool]:
    """Return the address behind playlists, another entry after each restart, and whether it is HLS.

    Raises ValueError for an address that is not allowed and OSError for one that cannot be read.
    """
    for _ in range(MAX_HOPS):
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
        url = found[restarts % len(found)]
    raise ValueError("playlists that lead to playlists without an end")


def fetch(url: str, timeout_s: float, agent: str) -> tuple[str, str]:
    """Return the start of a page as text, and its address after redirects; the login is sent to its own host only."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    request = Request(parts._replace(netloc=host, fragment="").geturl(), headers={"User-Agent": agent})
    if login:
        basic = base64.b64encode(unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {basic}")
    with urlopen(request, timeout=timeout_s) as response:
        return response.read(MAX_PLAYLIST_BYTES).decode("utf-8", "replace").lstrip("\ufeff"), response.url


def entries(text: str, base: str) -> list[str]:
    """Return the addresses in an .m3u or .pls; none where the text is neither."""
    if "\0" in text or "\ufffd" in text:
        return []
    lines = [line.strip() for line in text.splitlines()]
    if "[playlist]" in (line.lower() for line in lines):
        lines = [line.partition("=")[2].strip() for line in lines if re.match(r"file\d+\s*=", line, re.IGNORECASE)]
    return [urljoin(base, line) for line in lines if line and not line.startswith(("#", "<"))]


def command(program: str, url: str, task: dict[str, Any], *, paced: bool) -> list[str]:
    """Return ffmpeg's command; a URL with a password goes to its standard input instead."""
    scheme = urlsplit(url).scheme
    micros = str(round(1e6 * task["timeout_s"]))
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
        return [*words, "-i", "pipe:0", *task["output"]]
    elif scheme in ("http", "https"):
        words += ["-rw_timeout", micros, "-user_agent", task["agent"]]
    else:
        words += ["-rw_timeout", micros]
    return [*words, "-protocol_whitelist", ALLOWED, "-i", url, *task["output"]]


def rtsp_timeout(program: str) -> str:
    """Return this ffmpeg's option for the time limit of a socket: before version 5 `-timeout` meant another thing."""
    help_text = subprocess.run(
        [program, "-hide_banner", "-h", "demuxer=rtsp"], capture_output=True, text=True, timeout=5
    ).stdout
    return "-stimeout" if "-stimeout" in help_text else "-timeout"


if __name__ == "__main__":
    main()

"""Stations as they are on the web: no burst, playlists in any shape, gzip bombs, wrong certificates, redirects."""

import time
import zlib
from collections.abc import Callable

from genrewatch_drill.faults.context import Context
from genrewatch_drill.faults.row import Row, SourceTable
from genrewatch_drill.rig.processes import descendants, peak_mb
from genrewatch_drill.rig.results import CheckFailed, Outcome
from genrewatch_drill.servers.certificates import untrusted
from genrewatch_drill.servers.faulty_station import FaultyStation, Script

AT_ONCE_S = 6.0
"""Limit from the request to the sound: ffmpeg's own probing of MP3 takes 8 s."""
BOMB_MB = 1024
CHILD_MB = 80
LOGIN = "drill:s3cret@"
NEEDS = ("ffmpeg", "http")


def _station(context: Context, name: str, scripts: dict[str, list[Script]]) -> FaultyStation:
    """Return a station whose first path is that of the source."""
    server = FaultyStation(scripts, context.sounds.mp3, context.sounds.mp3_bytes_per_s, context.write_journal)
    context.resources.callback(server.close)
    return server


def _answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1") + body


def _online(context: Context, name: str, step_of: str) -> float:
    """Wait for the first segment of a source; return the seconds from the request to the sound."""
    asked_at: float = context.wait_journal(step_of, "sound")["at"]
    online = context.wait(name, "availability", lambda body: body["online"])
    context.wait(name, "segment")
    return online.at - asked_at


def _no_burst(kbit: int) -> Row:
    name = f"no-burst-{kbit}"

    def sources(context: Context) -> list[SourceTable]:
        sound, rate = context.sounds.mp3_of(kbit), 125 * kbit
        server = FaultyStation({name: ["play"]}, sound, rate, context.write_journal, burst_s=0.0)
        context.resources.callback(server.close)
        return [context.stream(name, server.url(name))]

    def play(context: Context) -> Outcome:
        took_s = _online(context, name, name)
        if took_s > AT_ONCE_S:
            raise CheckFailed(f"sound only {took_s:.1f} s after the request")
        return Outcome(seen=f"sound {took_s:.1f} s after the request")

    return Row(name=name, fault=f"MP3 without a burst, {kbit} kbit/s", sources=sources, play=play, needs=NEEDS)


def _playlist(name: str, fault: str, body: Callable[[str], str]) -> Row:
    """Return the row of a playlist in Latin-1, behind a redirect, whose sound is found."""
    sound = f"{name}-sound"

    def sources(context: Context) -> list[SourceTable]:
        scripts: dict[str, list[Script]] = {sound: ["play"], f"{name}-list": [], name: []}
        server = _station(context, name, scripts)
        content = body(server.url(sound)).encode("latin-1")
        scripts[f"{name}-list"].append(_answer(content, "Content-Type: text/plain"))
        scripts[name].append(_answer(b"", f"Location: {server.url(f'{name}-list')}", status="302 Found"))
        return [context.stream(name, server.url(name))]

    def play(context: Context) -> Outcome:
        return Outcome(seen=f"sound {_online(context, name, sound):.1f} s after its request")

    return Row(name=name, fault=fault, sources=sources, play=play, needs=NEEDS)


def _refused(name: str, fault: str, answer: bytes, why: str) -> Row:
    """Return the row of a station whose answer is refused for a reason."""

    def sources(context: Context) -> list[SourceTable]:
        return [context.stream(name, _station(context, name, {name: [answer]}).url(name))]

    def play(context: Context) -> Outcome:
        return context.never_online(name, why=why)

    return Row(name=name, fault=fault, sources=sources, play=play, needs=NEEDS)


def _untrusted() -> Row:
    name = "untrusted"

    def sources(context: Context) -> list[SourceTable]:
        tls = untrusted(context.directory / name)
        rate = context.sounds.mp3_bytes_per_s
        server = FaultyStation({name: ["play"]}, context.sounds.mp3, rate, context.write_journal, tls=tls)
        context.resources.callback(server.close)
        return [context.stream(name, server.url(name).replace("//", f"//{LOGIN}"))]

    def play(context: Context) -> Outcome:
        outcome = context.never_online(name, why="is not trusted")
        if context.journal(name, "sound"):
            raise CheckFailed("the login was sent to a station that is not trusted")
        return outcome

    fault = "https station whose certificate is not trusted"
    return Row(name=name, fault=fault, sources=sources, play=play, needs=(*NEEDS, "openssl"))


def _bomb() -> Row:
    """Return the row of a station that sends gzip of a gigabyte, as sound and then as a playlist."""
    name = "bomb"

    def sources(context: Context) -> list[SourceTable]:
        head = ("Content-Encoding: gzip", "Content-Type: audio/mpeg")
        answers: list[Script] = [_answer(_zipped(start), *head) for start in (b"", b"#EXTM3U\n")]
        return [context.stream(name, _station(context, name, {name: answers}).url(name))]

    def play(context: Context) -> Outcome:
        context.wait_journal(name, "answer", count=2)
        end, worst_mb = time.monotonic() + 4.0, 0.0
        while time.monotonic() < end:
            worst_mb = max([worst_mb, *map(peak_mb, descendants(context.daemon.process.pid))])
            time.sleep(0.1)
        if worst_mb > CHILD_MB:
            raise CheckFailed(f"a child process takes {worst_mb:.0f} MB")
        outcome = context.never_online(name, restarts=1)
        return Outcome(seen=f"{outcome.seen}; no child takes more than {worst_mb:.0f} MB")

    return Row(name=name, fault="gzip that expands to a gigabyte", sources=sources, play=play, needs=NEEDS)


def _zipped(start: bytes) -> bytes:
    """Return gzip of `start` and `BOMB_MB` of zeros or line ends."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress((b"\n" if start else b"\0") * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + BOMB_MB * block  # each block stands for itself


ROWS = (
    _no_burst(32),
    _no_burst(64),
    _playlist(
        "playlist",
        "playlist in Latin-1 behind a redirect",
        lambda url: f"#EXTM3U\r\n#EXTINF:-1,Café del Mar\r\n{url}\r\n",
    ),
    _playlist(
        "dead-first",
        "playlist whose first entry is dead",
        lambda url: f"[playlist]\nFile1=http://127.0.0.1:9/dead\nFile2={url}\nTitle2=Rádió\n",
    ),
    _refused(
        "ftp",
        "redirect to ftp",
        _answer(b"", "Location: ftp://127.0.0.1/live.mp3", status="302 Found"),
        "a redirect to a ftp address is not allowed",
    ),
    _untrusted(),
    _bomb(),
)

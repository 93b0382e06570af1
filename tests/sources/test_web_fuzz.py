"""Playlists, HLS, HTTP answers, ICY metadata and lines of ffmpeg with wrong bytes: a result or one line."""

import io
import random
import zlib
from collections.abc import Iterator
from contextlib import suppress

import pytest

from genrewatch.contract.errors import GenrewatchError
from genrewatch.sources.ffmpeg import FfmpegStderr
from genrewatch.sources.kinds import parse
from genrewatch.sources.stream import _settings
from genrewatch.sources.tuner import content, hls, http, icy, playlist
from genrewatch.sources.tuner.addresses import reach_of
from genrewatch.sources.tuner.connection import Access, Tls
from genrewatch.sources.tuner.search import Search

ROUNDS = [200, pytest.param(20_000, marks=pytest.mark.slow)]
BASE = "http://127.0.0.1/a/list"
SPICE = (
    *(b"\0", b"\xff", b"\xe2\x80\xae", b"\x1b[2J", b"\r", b"\n", b"[", b"]", b"%00", b"%", b"://", b"@", b"#", b"?"),
    *(
        b"http://[::1",
        b"http://a:99999/",
        b"file:///etc/passwd",
        b"ftp://x",
        b"\x00\xd8",
        b"<location>",
        b'"',
        b"'",
        b"&#x110000;",
    ),
    *(
        b"-1",
        b"99999999999999999999",
        b"0x10",
        b";",
        b"StreamTitle='",
        b"//",
        b"xn--\xc3\xbc",
        b"\xef\xbb\xbf",
        b"a" * 5000,
    ),
)
PLAYLISTS = (
    b"#EXTM3U\r\n#EXTINF:-1,Caf\xe9\r\nhttp://a/b\r\nlive.mp3\n",
    b"[playlist]\nNumberOfEntries=2\nFile1=http://a:80/b?c=d\nTitle1=x\nFile2=/c\n",
    b'<asx version="3.0"><entry><ref href="http://a/b&amp;c"/></entry><entryref href=\'d\'/></asx>',
    b'<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><location>http://a/b</location></playlist>',
    "#EXTM3U\n/ü\n".encode("utf-16"),
)
MASTERS = (
    b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",DEFAULT=YES,URI="en.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=9,AUDIO="a"\nv.m3u8\n',
    b'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXT-X-MAP:URI="i.mp4"\n#EXTINF:4,\ns.ts\n',
)
HEADS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg; x=y\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
    b"ICY 200 OK\r\nicy-metaint: 16\r\nicy-name: Radio\r\n\r\n"
    + bytes(16)
    + b"\x02StreamTitle='A - B';StreamUrl='';\0\0"
    + bytes(16),
    b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n" + zlib.compress(b"hello"),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: http://b/\r\n\r\n",
)


def mutated(data: bytes, random_: random.Random) -> bytes:
    """Change, cut, repeat or spice some bytes."""
    changed = bytearray(data)
    for _ in range(random_.choice((1, 2, 6))):
        place = random_.randrange(len(changed) + 1)
        kind = random_.randrange(4)
        if kind == 0:
            changed[place : place + 1] = random_.randbytes(1)
        elif kind == 1:
            del changed[place : place + random_.randrange(1, 40)]
        elif kind == 2:
            changed[place:place] = changed[place : place + random_.randrange(1, 40)]
        else:
            changed[place:place] = random_.choice(SPICE)
    return bytes(changed)


def cases(seeds: tuple[bytes, ...], rounds: int, seed: int) -> Iterator[bytes]:
    random_ = random.Random(seed)
    for _ in range(rounds):
        yield mutated(random_.choice(seeds), random_)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_no_playlist_leads_to_an_address_that_cannot_be_requested(rounds):
    for data in cases(PLAYLISTS, rounds, 1):
        for entry in playlist.entries(playlist.decode(data, "klingon"), BASE):
            with suppress(OSError, ValueError):
                reach_of(BASE, private=False).check(entry)
                assert entry.isascii(), entry
                assert entry.isprintable(), entry


@pytest.mark.parametrize("rounds", ROUNDS)
def test_no_address_of_hls_is_left_to_ffmpeg(rounds):
    for data in cases(MASTERS, rounds, 2):
        with suppress(OSError, ValueError):
            text = playlist.decode(data)
            hls.variant(text, BASE)
            for line in hls.rewritten(text, BASE, lambda url: "http://127.0.0.1:1/x").splitlines():
                assert line.startswith("#") or line in ("", "http://127.0.0.1:1/x"), line
                assert line.count("URI=") == line.count('URI="http://127.0.0.1:1/x"'), line


@pytest.mark.parametrize("rounds", ROUNDS)
def test_no_answer_of_a_server_raises_anything_but_one_line(rounds):
    for data in cases(HEADS, rounds, 3):
        file = io.BufferedReader(io.BytesIO(data))
        with suppress(OSError, ValueError):
            status, _, headers = http._read_head(file)
            read, titles = http._body(file, headers), list[bytes]()
            interval = headers.get("icy-metaint", "")
            if interval.isdecimal() and int(interval):
                read = icy.without_metadata(read, int(interval), titles.append)
            response = http.Response(status=status, reason="", headers=headers, url=BASE, read=read, close=file.close)
            body = http.read_all(response, 10_000)
            assert len(body) <= 10_000
            content.kind_of(response, body)
            content.demuxer_of(response.content_type, body)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_every_line_of_a_tuner_or_ffmpeg_is_one_printable_line(rounds):
    lines = (
        *(b"[info] tuner: station Caf\xe9", b"[info] tuner: way 0a1b2c3d more", b"[error] tuner: 404 Not Found"),
        *(b"[info] Input #0, mp3, from 'http://a/b':", b"[info]     icy-name        : Test FM"),
        b"[http @ 0x55] [verbose] Metadata update for StreamTitle: A - B",
    )
    parser = FfmpegStderr()
    for data in cases(lines, rounds, 4):
        parser.feed(data)
        playing = parser.now_playing()
        shown = [parser.reason(1), *([playing.station, playing.title] if playing else [])]
        assert all(text.isprintable() for text in shown if text), shown


@pytest.mark.parametrize("rounds", ROUNDS)
def test_no_address_of_a_source_raises_anything_but_one_line(rounds):
    uris = (
        *(b"http://u:p@a:80/b?c=d#id=x&stall_s=5", b"rtsp://[::1]:554/x", b"udp://@:5000", b"mic:Yeti?id=a"),
        *(
            b"cmd:sox -q 'a b' -t wav -?rate=8000&format=s24le",
            b"file:/a?pace=max",
            b"fifo:/x?rate=1",
            b"srt://a:1?mode=listener",
        ),
    )
    for data in cases(uris, rounds, 5):
        with suppress(GenrewatchError):
            uri = parse(data.decode("utf-8", "surrogateescape"))
            if uri.target.startswith(("http", "rtsp", "udp", "srt")):
                _settings(uri)
                access = Access(reach=reach_of("", private=True), tls=Tls(verify=True, ca_file=None), agent="")
                assert Search(access, set(), None, print)

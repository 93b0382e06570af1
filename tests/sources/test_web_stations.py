"""Stations as they are on the web: odd HTTP, playlists in any form and code page, certificates, private addresses."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemon.listening import Events, Running, opened
from tests.sounds import tune, write_wav
from tests.sources.web import RawServer, answer, certificate, redirect, without_burst, zipped

from genrewatch.contract.errors import SourceError
from genrewatch.sources.tuner.addresses import Reach, is_private, joined, listening, reach_of
from genrewatch.sources.tuner.connection import Access, Tls
from genrewatch.sources.tuner.content import demuxer_of
from genrewatch.sources.tuner.hls import rewritten, variant
from genrewatch.sources.tuner.http import open_url, read_all
from genrewatch.sources.tuner.playlist import decode, entries

SOUND_S = 2
MPEG = "Content-Type: audio/mpeg"


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    """A folder with a tune as MP3 of several bit rates, and as HLS."""
    folder = tmp_path_factory.mktemp("sounds")
    wav = write_wav(folder / "sound.wav", tune(SOUND_S))
    long = write_wav(folder / "long.wav", tune(9))
    _ffmpeg(wav, "-c:a", "libmp3lame", "-b:a", "64k", "-id3v2_version", "0", folder / "sound.mp3")
    for kbit in (32, 256):
        _ffmpeg(long, "-c:a", "libmp3lame", "-b:a", f"{kbit}k", "-id3v2_version", "0", folder / f"{kbit}.mp3")
    (folder / "key").write_bytes(bytes(range(16)))
    (folder / "key.info").write_text(f"secret.key\n{folder / 'key'}\n")
    hls = ["-c:a", "aac", "-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod"]
    _ffmpeg(wav, *hls, "-hls_key_info_file", folder / "key.info", folder / "locked.m3u8")
    _ffmpeg(wav, *hls, folder / "hls.m3u8")
    return folder


def _ffmpeg(source: Path, *words: object) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", source, *map(str, words)], check=True)


@pytest.fixture
def web(sounds) -> Iterator[RawServer]:
    with RawServer() as server:
        server.pages["/live.mp3"] = answer((sounds / "sound.mp3").read_bytes(), MPEG)
        for path in sounds.iterdir():
            if path.suffix in (".ts", ".m3u8"):
                server.pages[f"/{path.name}"] = answer(path.read_bytes())
        server.pages["/secret.key"] = answer((sounds / "key").read_bytes())
        yield server


def seconds(uri: str) -> float:
    """Return the seconds of sound at an address."""
    return sum(len(block.samples) / block.sample_rate for block in opened(uri).blocks(Events()))


def plays(url: str, options: str = "") -> bool:
    """Return whether the tune is at an address."""
    return seconds(f"{url}#restart=never{options}") == pytest.approx(SOUND_S, abs=0.2)


def failure(uri: str) -> str:
    """Return why there is no sound."""
    with pytest.raises(SourceError) as caught:
        list(opened(uri).blocks(Events()))
    return str(caught.value)


@pytest.mark.parametrize("kbit", [32, 256])
def test_mp3_without_a_burst_is_received_within_seconds(web, sounds, kbit):
    web.pages["/"] = without_burst((sounds / f"{kbit}.mp3").read_bytes(), kbit * 125, "audio/mpeg")
    start = time.monotonic()
    with Running(opened(web.url("/"))) as running:
        running.events.wait(1, 6)
    assert running.events.notified[0] == "online", time.monotonic() - start


ENTRY = "/live.mp3"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("audio/x-mpegurl", f"#EXTM3U\r\n#EXTINF:-1,Café\r\n{ENTRY}\r\n".encode("latin-1")),
        ("audio/x-scpls", f"[playlist]\nFile1={ENTRY}\nTitle1=Rádió\n".encode("latin-1")),
        ("text/plain", f"#EXTM3U\n#EXTINF:-1,Радио\n{ENTRY}\n".encode("windows-1251")),
        ("application/octet-stream", f"\ufeff#EXTM3U\n{ENTRY}\n".encode()),
        ("audio/mpegurl", f"#EXTM3U\r\n{ENTRY}\r\n".encode("utf-16")),
        ("video/x-ms-asf", f'<ASX version="3.0"><Entry><Ref HREF="{ENTRY}" /></Entry></ASX>'.encode()),
        (
            "application/xspf+xml",
            f'<?xml version="1.0"?>\n<playlist xmlns="http://xspf.org/ns/0/"><trackList><track><location>{ENTRY}'
            "</location></track></trackList></playlist>".encode(),
        ),
    ],
)
def test_a_playlist_is_known_by_its_type_and_content_in_any_code_page(web, content_type, body):
    web.pages["/tune-in"] = answer(body, f"Content-Type: {content_type}")
    assert plays(web.url("/tune-in"))


def test_every_entry_of_the_only_source_is_tried_in_its_order(web):
    lines = ["http://127.0.0.1:1/dead", web.url("/absent"), web.url("/page"), web.url("/noise"), web.url(ENTRY)]
    web.pages["/page"] = answer(b"<!DOCTYPE html><html>", "Content-Type: text/html")
    web.pages["/noise"] = answer(os.urandom(3000))  # fails in ffmpeg only
    web.pages["/list"] = answer("\n".join(lines).encode())
    source = opened(web.url("/list"))
    with Running(source) as running:
        running.until(lambda: running.blocks)
    assert [request.split()[1] for request in web.requests].count("/absent") == 1


def test_a_redirect_to_another_host_is_followed_without_the_login(web):
    web.pages["/old"] = redirect(f"http://localhost:{web.port}{ENTRY}")
    assert plays(web.url("/old", login="me:s3cret@"))
    assert ["Authorization" in request for request in web.requests] == [True, False]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("ftp://127.0.0.1/x", "a redirect to a ftp address is not allowed"),
        ("file:///etc/passwd", "a redirect to a file address is not allowed"),
        ("/here", "redirects without an end"),
        ("http://127.0.0.1:port/", "the port in the URL is not a number"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_one_error_line(web, target, words):
    web.pages["/here"] = redirect(target)
    assert words in failure(web.url("/here"))


def test_odd_http_is_understood(web, sounds):
    mp3 = (sounds / "sound.mp3").read_bytes()
    web.pages["/icy"] = answer(mp3, MPEG, protocol="ICY")
    web.pages["/headers"] = answer(mp3, MPEG, *(f"X-{n}: {n}" for n in range(300)))
    web.pages["/gzip"] = zipped(mp3, MPEG)
    web.pages["/list"] = zipped(f"#EXTM3U\n{web.url('/icy')}\n".encode())
    web.pages["/caf%C3%A9"] = answer(mp3, MPEG)
    web.pages["/chunk"] = answer(b"%x\r\n%b\r\n1000\r\nend" % (len(mp3), mp3), MPEG, "Transfer-Encoding: chunked")
    for path in ("/icy", "/headers", "/gzip", "/list", "/café", "/chunk"):
        assert plays(web.url(path)), path


def test_a_port_that_is_no_number_and_an_answer_that_is_not_http_are_one_error_line(web):
    web.pages["/smtp"] = b"220 mail ESMTP\r\n"
    assert "the answer is not HTTP" in failure(web.url("/smtp"))
    with pytest.raises(SourceError, match="port in the URL is not a number"):
        opened("http://radio:live/x")


def test_gzip_that_expands_a_thousandfold_is_read_no_further_than_the_limit(web):
    web.pages["/bomb"] = zipped(b"#EXTM3U\n" + b"\n" * 50_000_000)
    response = open_url(web.url("/bomb"), ACCESS)
    assert len(read_all(response, 100_000)) == 100_000
    response.close()
    assert "a playlist without an address" in failure(web.url("/bomb"))


@pytest.mark.parametrize(
    ("charset", "title"), [("", "Café"), ("", "Кино"), ("windows-1251", "Кино"), ("shift_jis", "夜に駆ける")]
)
def test_titles_of_a_named_code_page_are_read(web, sounds, charset, title):
    encoding = charset or ("latin-1" if title == "Café" else "utf-8")
    block = f"StreamTitle='{title}';StreamUrl='';".encode(encoding)
    block += bytes(-len(block) % 16)
    mp3 = (sounds / "32.mp3").read_bytes()
    body = mp3[:4000] + bytes([len(block) // 16]) + block + mp3[4000:8000] + b"\0" + mp3[8000:12_000]
    web.pages["/"] = answer(body, MPEG, "icy-metaint: 4000", "icy-name: Radio Test")
    source = opened(web.url("/") + f"#restart=never&charset={charset}".removesuffix("&charset="))
    with Running(source) as running:
        running.until(lambda: ("Radio Test", title) in running.events.playing)


def test_an_unknown_code_page_is_one_error_line():
    with pytest.raises(SourceError, match="charset=klingon"):
        opened("http://radio/#charset=klingon")


ACCESS = Access(reach=Reach(private=True), tls=Tls(verify=True, ca_file=None), agent="test")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


def test_an_https_station_must_have_a_certificate_that_is_trusted(authority, web):
    ca_file, context = authority
    with RawServer(context) as secure:
        secure.pages = web.pages
        url = secure.url("/live.mp3", login="me:s3cret@", host="localhost")
        assert "the certificate of localhost is not trusted" in failure(url)
        assert not secure.requests
        assert plays(url, f"&ca_file={ca_file}")
        assert plays(url, "&tls_verify=no")


def test_segments_and_keys_of_hls_must_have_a_certificate_that_is_trusted(authority, web, sounds):
    ca_file, context = authority
    with RawServer(context) as secure:
        secure.pages = web.pages
        elsewhere = f"https://localhost:{secure.port}/"
        text = (sounds / "locked.m3u8").read_text().replace('URI="', f'URI="{elsewhere}')
        assert text.count(elsewhere) >= 1
        web.pages["/master.m3u8"] = answer(text.replace("\nlocked", f"\n{elsewhere}locked").encode())
        assert "not trusted" in failure(web.url("/master.m3u8"))
        assert plays(web.url("/master.m3u8"), f"&ca_file={ca_file}")


def test_hls_of_1500_variants_becomes_one_request_for_the_best_sound_without_video(web):
    lines = ["#EXTM3U"]
    for number in range(1500):
        lines += [f'#EXT-X-STREAM-INF:BANDWIDTH={900_000 + number},CODECS="avc1.4d,mp4a.40.2"', f"absent{number}.m3u8"]
    lines += ['#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"', "low.m3u8"]
    lines += ['#EXT-X-STREAM-INF:BANDWIDTH=128000,CODECS="mp4a.40.2"', "hls.m3u8"]
    web.pages["/master"] = answer("\n".join(lines).encode())
    assert plays(web.url("/master"))
    paths = {request.split()[1] for request in web.requests if ".m3u8" in request.split()[1]}
    assert paths == {"/hls.m3u8"}


def test_hls_takes_the_audio_rendition_of_a_variant_and_hides_every_address_from_ffmpeg():
    master = (
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="fr.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",DEFAULT=YES,URI="en.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=1x1,AUDIO="a"\nv.m3u8\n'
    )
    assert variant(master, "http://h/x/m") == "http://h/x/en.m3u8"
    keys = '#EXT-X-KEY:METHOD=AES-128,URI="file:///k"\n#EXT-X-KEY:METHOD=AES-128,URI=http://10.0.0.1/k\n'
    text = f'#EXTM3U\n{keys}#EXT-X-MAP:URI="i.mp4"\n\x0bfile:///etc/passwd\ns.ts\n'
    seen = rewritten(text, "http://h/p/", lambda url: f"<{len(url)}>")
    assert "passwd" not in seen
    assert "://" not in seen


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.1.1", True),
        ("169.254.1.1", True),
        ("0.0.0.0", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("::ffff:10.0.0.1", True),
        ("224.0.0.1", True),
        ("8.8.8.8", False),
        ("2606:4700::1", False),
    ],
)
def test_private_addresses_are_known(address, private):
    assert is_private(address) == private


def test_what_a_public_station_leads_to_stays_public():
    public = reach_of("http://8.8.8.8/list", private=False)
    for url in (
        "http://127.0.0.1/x",
        "http://[::1]/x",
        "http://192.168.1.1/",
        "udp://@:5000",
        "srt://h:1?mode=listener",
    ):
        with pytest.raises(ValueError, match=r"private=yes|not allowed in a playlist"):
            public.check(url)
    public.check("http://1.1.1.1/live.mp3")
    assert reach_of("http://8.8.8.8/list", private=True).private
    assert reach_of("http://127.0.0.1/list", private=False).private
    with pytest.raises(ValueError, match="private=yes"):
        open_url("http://127.0.0.1:1/", Access(reach=public, tls=ACCESS.tls, agent="test"))


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("udp://@:5000", "UDP port 5000"),
        ("rtp://0.0.0.0:5004", "UDP port 5004"),
        ("srt://0.0.0.0:9000?mode=listener", "UDP port 9000"),
        ("srt://host:9000", None),
        ("http://host/x", None),
    ],
)
def test_an_address_that_opens_a_port_is_known(url, port):
    assert listening(url) == port


def test_a_source_that_listens_logs_its_port(caplog):
    opened("udp://@:5000")
    assert "listens on UDP port 5000" in caplog.text


@pytest.mark.parametrize("login", ["u:pa'ss@", "u:p%40ss@"])
def test_no_login_and_no_token_is_in_a_command_line(web, sounds, login):
    web.pages["/live?token=t0ken"] = without_burst((sounds / "32.mp3").read_bytes(), 4000, "audio/mpeg")
    with Running(opened(web.url("/live?token=t0ken", login=login))) as running:
        running.until(lambda: running.blocks)
        lines = [_command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert any(b"ffmpeg" in line for line in lines)
    for secret in (b"pa'ss", b"p%40ss", b"t0ken", b"pa%27ss"):
        assert not any(secret in line for line in lines)


def _command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_digest_login_opens_a_station(web, sounds):
    def play(connection):
        if "Authorization: Digest" not in web.requests[-1]:
            connection.sendall(
                answer(b"", 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"', status="401 Unauthorized")
            )
            return
        connection.sendall(answer((sounds / "sound.mp3").read_bytes(), MPEG))

    web.pages["/digest"] = play
    assert plays(web.url("/digest", login="me:s3cret@"))
    assert "s3cret" not in web.requests[-1]


def test_playlists_keep_their_order_and_hold_relative_and_foreign_addresses():
    assert entries("#EXTM3U\n b \nmms://h/c\nhttp://x/ü d\n", "http://a/l") == [
        "http://a/b",
        "mmsh://h/c",
        "http://x/%C3%BC%20d",
    ]
    assert entries("[Reference]\nRef1=http://a/b?c=d\n", "http://h/") == ["http://a/b?c=d"]
    assert entries('<asx><entryref href="a&amp;b"/><ref href="c"/></asx>', "http://h/") == [
        "http://h/a&b",
        "http://h/c",
    ]
    assert entries("http://a\x90b/\n/live\n", "http://h/") == ["http://a\x90b/", "http://h/live"]
    assert decode("Кино".encode("windows-1251"), "windows-1251") == "Кино"
    assert joined("http://a/", "http://bücher.example/x") == "http://xn--bcher-kva.example/x"


def test_bytes_decide_before_the_content_type():
    frame = bytes([0xFF, 0xF1, 0x50, 0x80, 0x02, 0x1F, 0xFC]) + bytes(9)
    assert demuxer_of("audio/mpeg", b"\x00" + 4 * frame) == "aac"
    assert demuxer_of("audio/mpeg", b"OggS") == "ogg"
    assert demuxer_of("audio/mpeg", bytes(100)) == "mp3"
    assert demuxer_of("text/plain", bytes(100)) is None

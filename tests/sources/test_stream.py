"""Stations on the network: a real Icecast, its titles, playlists, logins, and addresses where there is nothing."""

import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.daemon.listening import Events, Running, opened
from tests.sounds import tune, write_wav

from genrewatch import programme
from genrewatch.contract.errors import SourceError
from genrewatch.sources.ffmpeg import FfmpegStderr
from genrewatch.sources.tuner.playlist import entries
from genrewatch_drill.servers.icecast import Icecast

ONCE = "#restart=never"
SOUND_S = 3


@pytest.fixture(scope="module")
def icecast(tmp_path_factory) -> Iterator[Icecast]:
    directory = tmp_path_factory.mktemp("icecast")
    sound = write_wav(directory / "chorale.wav", programme.item("chorale"), rate=programme.SAMPLE_RATE)
    with Icecast(directory, sound) as server:
        yield server


class WebServer(ThreadingHTTPServer):
    """Pages by path: bytes, or where to look instead; those below /private/ want a login."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, bytes | str] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path: str, login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path)
        wanted = "Basic " + b64encode(b"me:s3cret").decode()
        if self.path.startswith("/private/") and self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="the test"')
            page = b""
        elif isinstance(page, str):
            self.send_response(302)
            self.send_header("Location", page)
            page = b""
        else:
            self.send_response(404 if page is None else 200)
        self.send_header("Content-Length", str(len(page or b"")))
        self.end_headers()
        self.wfile.write(page or b"")

    def log_message(self, *words: object) -> None: ...


@pytest.fixture(scope="module")
def web(tmp_path_factory) -> Iterator[WebServer]:
    """Serve a few seconds of sound at /sound.wav, and as HLS."""
    folder = tmp_path_factory.mktemp("web")
    wav = write_wav(folder / "sound.wav", tune(SOUND_S))
    hls = ["-c:a", "aac", "-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod", str(folder / "live.m3u8")]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(wav), *hls], check=True)
    server = WebServer()
    server.pages = {f"/{path.name}": path.read_bytes() for path in folder.iterdir()}
    server.pages["/private/sound.wav"] = wav.read_bytes()
    yield server
    server.shutdown()
    server.server_close()


def seconds(uri: str) -> float:
    """Return the seconds of sound at an address."""
    return sum(len(block.samples) / block.sample_rate for block in opened(uri).blocks(Events()))


def failure(uri: str) -> str:
    """Return why there is none."""
    with pytest.raises(SourceError) as caught:
        list(opened(uri).blocks(Events()))
    return str(caught.value)


def test_a_station_plays_and_each_new_title_is_notified(icecast):
    url = icecast.broadcast("live.mp3")
    icecast.title("live.mp3", "One")
    with Running(opened(url)) as running:
        running.until(lambda: ("Test FM", "One") in running.events.playing)
        icecast.title("live.mp3", "Drei Straßen")
        running.until(lambda: ("Test FM", "Drei Straßen") in running.events.playing)
    assert running.blocks[0].sample_rate == 44_100


def test_aac_brings_titles_too_and_ogg_those_it_begins_with(icecast):
    with Running(opened(icecast.broadcast("live.aac", "aac"))) as running:
        running.until(lambda: running.blocks)
        icecast.title("live.aac", "So What")
        running.until(lambda: ("Test FM", "So What") in running.events.playing)
    with Running(opened(icecast.broadcast("live.ogg", "ogg", title="Blue in Green"))) as running:
        running.until(lambda: running.events.playing)
    assert running.events.playing[0][1] == "Blue in Green"


def test_a_station_that_stops_and_returns_is_restarted_and_the_gap_is_counted(icecast):
    with Running(opened(icecast.broadcast("gone.mp3"))) as running:
        running.events.wait(1)
        icecast.stop("gone.mp3")
        running.events.wait(2)
        icecast.broadcast("gone.mp3")
        running.until(lambda: running.events.notified[-1] == "online")
    assert running.events.notified[1].startswith("offline: ")
    assert running.source.counts.lost_s["restart"] > 0
    assert [block.lost > 0 for block in running.blocks if block.lost] == [True]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/a.m3u", "#EXTM3U\n#EXTINF:-1,Sound\nsound.wav\n"),
        ("/a.pls", "[playlist]\nNumberOfEntries=1\nFile1={url}\nTitle1=Sound\n"),
        ("/b.m3u", "{base}/a.pls\n"),
    ],
)
def test_a_playlist_leads_to_its_sound(web, path, text):
    web.pages["/a.pls"] = f"[playlist]\nFile1={web.url('/sound.wav')}\n".encode()
    web.pages[path] = text.format(url=web.url("/sound.wav"), base=web.url("")).encode()
    assert seconds(web.url(path) + ONCE) == pytest.approx(SOUND_S, abs=0.01)


def test_all_sound_of_hls_arrives(web):
    assert seconds(web.url("/live.m3u8") + ONCE) == pytest.approx(SOUND_S, abs=0.2)


def test_a_redirect_is_followed(web):
    web.pages["/moved"] = web.url("/sound.wav")
    assert seconds(web.url("/moved") + ONCE) == pytest.approx(SOUND_S, abs=0.01)


def test_a_login_opens_a_private_stream_and_is_in_no_message(web):
    assert seconds(web.url("/private/sound.wav", "me:s3cret@") + ONCE) == pytest.approx(SOUND_S, abs=0.01)
    message = failure(web.url("/private/sound.wav", "me:wr0ng@"))
    assert "401" in message
    assert "wr0ng" not in message


def test_a_login_is_not_in_the_list_of_processes(icecast):
    url = icecast.broadcast("secret.mp3").replace("//", "//me:s3cret@")
    with Running(opened(url)) as running:
        running.until(lambda: running.blocks)
        children = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]
    assert not any(b"s3cret" in line for line in children)


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("path", "page", "words"),
    [
        ("/nothing", None, "404"),
        ("/garbage", b"no sound at all " * 4000, "not a stream that ffmpeg knows"),
        ("/empty.m3u8", b"#EXTM3U\n#EXT-X-VERSION:3\n", ""),
        ("/local.m3u", b"file:///etc/passwd\n", "a file address is not allowed in a playlist"),
        ("/circle.m3u", b"circle.m3u\n", "without an end"),
    ],
)
def test_an_address_without_sound_is_one_error_line_with_the_reason(web, path, page, words):
    if page is not None:
        web.pages[path] = page
    message = failure(web.url(path))
    assert words in message
    assert "\n" not in message


def test_a_refused_connection_is_one_error_line_without_password_or_token():
    message = failure("http://me:secret@127.0.0.1:1/x?token=abc")
    assert "Connection refused" in message
    assert "secret" not in message
    assert "abc" not in message


def test_the_entries_of_playlists_are_found():
    assert entries("#EXTM3U\n#EXTINF:-1,x\nhttp://a/b\nlive.mp3\n", "http://c/d.m3u") == [
        "http://a/b",
        "http://c/live.mp3",
    ]
    assert entries("[playlist]\nFile1=http://a/b\nTitle1=x\n", "http://c/d.pls") == ["http://a/b"]


def test_an_old_error_line_does_not_explain_an_end_much_later(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("genrewatch.sources.ffmpeg.time.monotonic", lambda: now[0])
    stderr = FfmpegStderr()
    stderr.feed(b"[http @ 0x1] [warning] HTTP error 503 Service Unavailable")
    assert stderr.reason(1) == "503 Service Unavailable"
    now[0] += 60
    assert stderr.reason(0) == "server closed"

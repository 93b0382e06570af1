"""RTSP, from a camera that the test plays: audio as RTP inside the TCP connection, with and without a login."""

import os
import socket
import ssl
import struct
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.daemon.listening import Events, Running, opened
from tests.sources.web import certificate

from genrewatch.contract.errors import SourceError
from genrewatch.sources.tuner.addresses import Reach, SocketAddress, lookup
from genrewatch.sources.tuner.connection import Access, Tls
from genrewatch.sources.tuner.ffmpeg_input import opened as opened_input

SDP = "\r\n".join(
    ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=Camera", "t=0 0", "m=audio 0 RTP/AVP 11", "a=control:track1", ""]
)
VIDEO = "\r\n".join(
    [
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IAH5WoFAFuQA==,aM48gA==",
        "a=control:track2",
        "",
    ]
)
RATE, PACKET = 44_100, 441  # payload type 11 is 16 bit, mono, 44.1 kHz


class Camera:
    """Serves /audio; /private/audio wants the login me:s3cret. It can fall silent without hanging up.

    Of /strict it sends nothing unless the video is set up too. With a context it speaks rtsps.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self.mute = threading.Event()
        self._closed = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, path: str, login: str = "") -> str:
        return f"{'rtsps' if self._context else 'rtsp'}://{login}127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self._closed.set()
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._talk, args=(self._socket.accept()[0],), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with suppress(OSError):
            self._converse(self._context.wrap_socket(client, server_side=True) if self._context else client)

    def _converse(self, client: socket.socket) -> None:
        tracks = set()
        with client, client.makefile("rb") as asked, suppress(OSError):
            while line := asked.readline():
                if not line.endswith(b" RTSP/1.0\r\n"):
                    continue  # reports on what has arrived
                method, url, _ = line.decode("latin-1").split(" ", 2)
                headers = dict(header.split(": ", 1) for header in _lines(asked))
                head = f"RTSP/1.0 {{}}\r\nCSeq: {headers['CSeq']}\r\nSession: 1\r\n"
                login = "Basic " + b64encode(b"me:s3cret").decode()
                if "/private/" in url and headers.get("Authorization") != login:
                    client.sendall(
                        (head.format("401 Unauthorized") + 'WWW-Authenticate: Basic realm="x"\r\n\r\n').encode()
                    )
                elif "/nothing" in url:
                    client.sendall((head.format("404 Not Found") + "\r\n").encode())
                elif method == "DESCRIBE":
                    sdp = SDP + VIDEO if "/strict" in url else SDP
                    body = f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}"
                    client.sendall((head.format("200 OK") + body).encode())
                elif method == "SETUP":
                    tracks.add(url[-6:])
                    client.sendall((head.format("200 OK") + f"Transport: {headers['Transport']}\r\n\r\n").encode())
                else:
                    client.sendall((head.format("200 OK") + "Public: DESCRIBE, SETUP, PLAY\r\n\r\n").encode())
                if method == "PLAY" and ("/strict" not in url or "track2" in tracks):
                    threading.Thread(target=self._play, args=(client,), daemon=True).start()

    def _play(self, client: socket.socket) -> None:
        start = time.monotonic()
        with suppress(OSError):
            for number in range(10_000):
                samples = struct.pack(f">{PACKET}h", *((k * 441 % 20_000) - 10_000 for k in range(PACKET)))
                rtp = struct.pack(">BBHII", 0x80, 11, number & 0xFFFF, number * PACKET, 1) + samples
                if not self.mute.is_set():
                    client.sendall(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
                self._closed.wait(max(0.0, start + number * PACKET / RATE - time.monotonic()))


def _lines(asked) -> Iterator[str]:
    while (line := asked.readline().decode("latin-1").rstrip("\r\n")) != "":
        yield line


@pytest.fixture
def camera() -> Iterator[Camera]:
    playing = Camera()
    yield playing
    playing.close()


@pytest.mark.parametrize(("path", "login"), [("/audio", ""), ("/private/audio", "me:s3cret@")])
def test_the_sound_of_a_camera_arrives(camera, path, login):
    with Running(opened(camera.url(path, login))) as running:
        running.until(lambda: sum(len(block.samples) for block in running.blocks) > RATE)
    assert running.blocks[0].sample_rate == RATE
    assert running.events.notified == ["online"]


def test_a_camera_that_falls_silent_without_hanging_up_is_stalled_and_comes_back(camera):
    with Running(opened(camera.url("/audio"), stall_s=4)) as running:
        running.events.wait(1)
        camera.mute.set()
        assert running.events.wait(2)[1] == "offline: no sound for 4 s"
        camera.mute.clear()
        running.events.wait(3)
        running.until(lambda: running.source.counts.lost_s)
    assert running.events.notified[2] == "online"


@pytest.mark.parametrize(("path", "words"), [("/nothing", "404"), ("/private/audio", "401")])
def test_a_refusal_of_a_camera_is_one_error_line(camera, path, words):
    with pytest.raises(SourceError, match=words) as caught:
        list(opened(camera.url(path)).blocks(Events()))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_camera_that_wants_its_video_set_up_is_received(camera):
    with Running(opened(camera.url("/strict"), stall_s=5)) as running:
        running.until(lambda: running.blocks)
    assert running.events.notified[-1] == "online"


def test_a_camera_has_no_title_and_its_login_is_in_no_command_line(camera):
    with Running(opened(camera.url("/private/audio", "me:s3cret@"))) as running:
        running.until(lambda: running.blocks)
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(b"s3cret" in line for line in lines)
    assert running.events.playing == []


@pytest.mark.slow
def test_a_camera_with_rtsps_must_have_a_certificate_that_is_trusted(tmp_path):
    ca_file, context = certificate(tmp_path)
    camera = Camera(context)
    try:
        with pytest.raises(SourceError, match=r"certificate of 127\.0\.0\.1 is not trusted"):
            list(opened(camera.url("/audio")).blocks(Events()))
        with Running(opened(camera.url("/private/audio", "me:s3cret@") + f"#ca_file={ca_file}")) as running:
            running.until(lambda: running.blocks)
    finally:
        camera.close()


def test_a_redirect_inside_rtsp_of_a_public_camera_is_not_followed():
    """The camera is on loopback, which a reach that allows the address of this name alone takes for public."""
    asked, errors = [], []

    class Public(Reach):
        def addresses(self, host: str, port: int) -> list[SocketAddress]:
            return lookup(host, port)

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as private:
        private.settimeout(0.5)

        def lead_elsewhere() -> None:
            client, _ = server.accept()
            with client:
                asked.append(client.recv(4096))
                client.sendall(b"RTSP/2.0  302 Found\r\nCSeq: 1\r\nLoc\ra")
                time.sleep(0.1)
                client.sendall(b"tion: rtsp://127.0.0.1:%d/\r\n\r\n" % private.getsockname()[1])
                client.recv(1)

        threading.Thread(target=lead_elsewhere, daemon=True).start()
        access = Access(reach=Public(private=False), tls=Tls(verify=True, ca_file=None), agent="test")
        found = opened_input(f"rtsp://127.0.0.1:{server.getsockname()[1]}/x", access, errors.append, video=False)
        assert found.serve
        threading.Thread(target=found.serve, args=(os.dup(0),), daemon=True).start()
        command = ["ffmpeg", "-nostdin", "-v", "error", *found.words, "-f", "null", "-"]
        assert subprocess.run(command, input=found.stdin, capture_output=True, timeout=20).returncode
        with pytest.raises(TimeoutError):
            private.accept()
    assert asked
    assert errors == ["a redirect inside RTSP or MMSH is not followed (private=yes allows it)"]

"""RTSP, from a camera that the test plays: audio as RTP inside the TCP connection, with and without a login."""

import socket
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress

import pytest
from tests.daemon.listening import Events, Running, opened

from genrewatch.contract.errors import SourceError

SDP = "\r\n".join(
    ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=Camera", "t=0 0", "m=audio 0 RTP/AVP 11", "a=control:track1", ""]
)
RATE, PACKET = 44_100, 441  # payload type 11 is 16 bit, mono, 44.1 kHz


class Camera:
    """Serves /audio; /private/audio wants the login me:s3cret. It can fall silent without hanging up."""

    def __init__(self) -> None:
        self.mute = threading.Event()
        self._closed = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, path: str, login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self._closed.set()
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._talk, args=(self._socket.accept()[0],), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
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
                    body = f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}"
                    client.sendall((head.format("200 OK") + body).encode())
                elif method == "SETUP":
                    client.sendall((head.format("200 OK") + f"Transport: {headers['Transport']}\r\n\r\n").encode())
                else:
                    client.sendall((head.format("200 OK") + "Public: DESCRIBE, SETUP, PLAY\r\n\r\n").encode())
                if method == "PLAY":
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

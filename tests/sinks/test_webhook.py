"""Webhooks against real servers: good ones, and those that refuse, redirect, drip or never answer."""

import base64
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import pytest
from tests.sinks.hook_rig import LONG_S, WebServer, running_hooks, settled, until
from tests.sinks.mqtt_rig import JAZZ, ROCK

from genrewatch.sinks.hooks.sink import HookConfig
from genrewatch_drill.servers.ports import free_port


def on_change(url: str, timeout_s: float = LONG_S) -> HookConfig:
    return HookConfig(on=("genre_changed",), url=url, timeout_s=timeout_s)


@contextmanager
def odd_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """HOST:PORT of a server that calls a given function with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()

        def one(client: socket.socket) -> None:
            with client, suppress(OSError):
                serve(client)

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def test_an_event_is_posted_as_json_with_the_login_and_the_query_of_the_url() -> None:
    with WebServer() as server:
        url = f"http://me:p%40ss@{server.address}/genre/rock?title=New%20genre#here"
        with running_hooks(on_change(url)) as sink:
            sink.on_result("mic", ROCK)
            assert settled(sink, ran=1)["failed"] == 0
    ((path, headers, body),) = server.posted
    assert path == "/genre/rock?title=New%20genre"
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == server.address
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert json.loads(body)["event_type"] == "genre_changed"
    assert json.loads(body)["model"] is None


def test_a_server_that_answers_500_has_had_the_event_and_does_not_get_it_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with WebServer(status=500) as server, running_hooks(on_change(f"http://me:s3cret@{server.address}/s3cret")) as sink:
        sink.on_result("mic", ROCK)
        sink.on_result("mic", JAZZ)
        health = settled(sink, ran=2)
    assert health == {
        "ran": 2,
        "failed": 2,
        "dropped": 0,
        "suppressed": 0,
        "last_error": "answered 500 Internal Server Error",
    }
    assert [json.loads(body)["genre"] for _, _, body in server.posted] == ["rock", "jazz"]
    assert len(caplog.messages) == 1
    assert f"(http://{server.address}) fails (answered 500" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("place", ["file:///etc/hostname", "http://127.0.0.1:1/", "/elsewhere"])
def test_no_redirect_is_followed(place: str) -> None:
    server = WebServer(status=307, headers=[("Location", place)])
    with server, running_hooks(on_change(f"http://{server.address}/")) as sink:
        sink.on_result("mic", ROCK)
        assert settled(sink, ran=1)["last_error"] == "answered 307 Temporary Redirect"
    assert len(server.posted) == 1


def test_what_a_server_that_cannot_be_reached_should_have_got_it_gets_later_in_order_and_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    port = free_port()
    with running_hooks(on_change(f"http://127.0.0.1:{port}/")) as sink:
        sink.on_result("mic", ROCK)
        sink.on_result("mic", JAZZ)
        assert settled(sink, ran=3)["last_error"] == "connection refused"
        with WebServer(port) as server:
            until(lambda: len(server.posted) == 2)
            until(lambda: sink.health()["0"]["ran"] - sink.health()["0"]["failed"] == 2)
    assert [json.loads(body)["genre"] for _, _, body in server.posted] == ["rock", "jazz"]
    assert ["fails" in message for message in caplog.messages] == [True, False]


def test_an_event_for_a_server_that_stays_away_is_counted_at_the_end() -> None:
    with running_hooks(on_change(f"http://127.0.0.1:{free_port()}/")) as sink:
        sink.on_result("mic", ROCK)
        settled(sink, ran=2)
    assert sink.health()["0"]["dropped"] == 1


def never(client: socket.socket) -> None:
    while client.recv(4096):
        pass


def drip(client: socket.socket) -> None:
    while True:
        client.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize("serve", [never, drip])
def test_a_server_that_never_answers_or_drips_is_given_up_in_time(serve: Callable[[socket.socket], None]) -> None:
    with odd_server(serve) as address, running_hooks(on_change(f"http://{address}/", timeout_s=0.5)) as sink:
        sink.on_result("mic", ROCK)
        assert settled(sink, ran=1)["last_error"] == "no answer within 0.5 s"


def test_closing_does_not_wait_for_a_server_that_never_answers() -> None:
    connected = threading.Event()

    def silent(client: socket.socket) -> None:
        connected.set()
        never(client)

    with odd_server(silent) as address, running_hooks(on_change(f"http://{address}/", timeout_s=300.0)) as sink:
        sink.on_result("mic", ROCK)
        assert connected.wait(LONG_S)
        began = time.monotonic()
        sink.close()
        assert time.monotonic() - began < LONG_S
        assert sink.health()["0"]["last_error"] == "not done when genrewatch stopped"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "no HTTP answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP answer"),
        (b"x" * 100_000, "no HTTP answer"),
        (b"HTTP/1.1 403 \x1b[2J https://me:s3cret@host/x?s3cret\r\n\r\n", "answered 403 [2J https://host"),
    ],
)
def test_an_odd_answer_is_a_failure_and_reported_in_printable_text(answer: bytes, why: str) -> None:
    def serve(client: socket.socket) -> None:
        asked = b""
        while not asked.endswith(b"}"):  # one that hung up on half a request would reset the connection
            asked += client.recv(65_536)
        client.sendall(answer)

    with odd_server(serve) as address, running_hooks(on_change(f"http://{address}/")) as sink:
        sink.on_result("mic", ROCK)
        assert settled(sink, ran=1)["last_error"] == why


def test_https_is_spoken_with_servers_whose_certificate_is_trusted_and_with_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", *kind, *name, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = WebServer()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with server:
        with running_hooks(on_change(f"https://{server.address}/")) as sink:
            sink.on_result("mic", ROCK)
            assert "certificate verify failed" in settled(sink, ran=1)["last_error"]
        assert server.posted == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with running_hooks(on_change(f"https://{server.address}/")) as sink:
            sink.on_result("mic", ROCK)
            assert settled(sink, ran=1)["failed"] == 0
        assert len(server.posted) == 1

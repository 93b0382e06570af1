"""Players and sound servers on free loopback ports, as they are installed; the tests of absent ones are skipped."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from genrewatch_drill.servers.ports import free_port, wait_for_port

RTSP_SERVER = """
import sys, gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
server.set_service(sys.argv[1])
server.set_address("127.0.0.1")
factory.set_shared(True)
factory.set_launch(
    "( audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay0 pt=8 videotestsrc is-live=true ! "
    "video/x-raw,format=I420,width=160,height=120,framerate=5/1 ! jpegenc ! rtpjpegpay name=pay1 )"
)
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
GLib.MainLoop().run()
"""


def need(*programs: str) -> None:
    """Skip the test where a program is not installed."""
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


@contextmanager
def running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program to the end of the context."""
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere) as process:
        try:
            yield process
        finally:
            process.kill()


class Mpd:
    """MPD with one song on repeat, and two outputs: a FIFO, and an HTTP server of MP3 without a burst."""

    def __init__(self, folder: Path, song: Path) -> None:
        self.port, self.http_port, self.fifo = free_port(), free_port(), folder / "mpd.fifo"
        self._config = folder / "mpd.conf"
        files = [f'{name} "{folder / name}"' for name in ("db_file", "state_file", "pid_file", "log_file")]
        fifo = f'audio_output {{\n type "fifo"\n name "f"\n path "{self.fifo}"\n format "44100:16:2"\n}}'
        http = f'type "httpd"\n name "h"\n encoder "lame"\n bitrate "64"\n port "{self.http_port}"'
        http = f'audio_output {{\n {http}\n bind_to_address "127.0.0.1"\n format "44100:16:1"\n}}'
        listen = [f'music_directory "{song.parent}"', 'bind_to_address "127.0.0.1"', f'port "{self.port}"']
        self._config.write_text("\n".join([*listen, *files, fifo, http, ""]))
        self._song = song.name

    @contextmanager
    def playing(self) -> Iterator["Mpd"]:
        """Run MPD and play the song."""
        with running([require("mpd"), "--no-daemon", str(self._config)]) as process:
            wait_for_port(self.port, process)
            self.send("update")
            deadline = time.monotonic() + 10
            while "ACK" in self.send("clear", f'add "{self._song}"'):
                assert time.monotonic() < deadline, "MPD does not find the song"
                time.sleep(0.2)
            self.send("repeat 1", "play")
            yield self

    def send(self, *commands: str) -> str:
        """Send commands and return the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            text = "\n".join(["command_list_begin", *commands, "command_list_end", "close", ""])
            connection.sendall(text.encode())
            with connection.makefile("rb") as answer:
                return answer.read().decode()


def require(program: str) -> str:
    """Return the path of a program, or skip the test."""
    need(program)
    return str(shutil.which(program))


@contextmanager
def snapserver(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run a Snapcast server that reads a FIFO; yield its port and the FIFO."""
    program, port, fifo = require("snapserver"), free_port(), folder / "snapfifo"
    config = folder / "snapserver.conf"
    source = f"source = pipe://{fifo}?name=default&sampleformat=48000:16:2&codec=pcm"
    off = "[http]\nenabled = false\n[tcp]\nenabled = false\n"
    config.write_text(f"{off}[stream]\nbind_to_address = 127.0.0.1\nport = {port}\n{source}\n")
    environment = {**os.environ, "HOME": str(folder)}
    with running([program, "-c", str(config), f"--server.datadir={folder}"], environment) as process:
        wait_for_port(port, process)
        yield port, fifo


@contextmanager
def pipewire(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run PipeWire, its session manager and its PulseAudio server for one test."""
    need("pipewire", "pipewire-pulse", "wireplumber", "pactl", "parec", "paplay", "dbus-run-session")
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    for name, value in (("HOME", folder), ("XDG_RUNTIME_DIR", runtime), ("PIPEWIRE_RUNTIME_DIR", runtime)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("PULSE_SERVER", raising=False)
    with ExitStack() as parts:
        parts.enter_context(running(["pipewire"]))
        parts.enter_context(running(["dbus-run-session", "--", "wireplumber"]))
        parts.enter_context(running(["pipewire-pulse"]))
        deadline = time.monotonic() + 15
        load = ["pactl", "load-module", "module-null-sink", "sink_name=hall"]
        while subprocess.run(load, capture_output=True).returncode:
            assert time.monotonic() < deadline, "PipeWire does not start"
            time.sleep(0.3)
        yield


@contextmanager
def rtsp_server(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run GStreamer's RTSP server, sound and video at /camera, with the system's Python."""
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", RTSP_SERVER.split("Gst.init")[0]], capture_output=True).returncode:
        pytest.skip("GStreamer's RTSP server is not installed")
    with running([python, "-c", RTSP_SERVER, str(port)]) as process:
        wait_for_port(port, process)
        yield process

"""Players and sound servers that are installed: what they play is received, across a pause, a freeze and a restart."""

import os
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from tests.daemon.listening import Running, opened
from tests.peers.players import Mpd, need, pipewire, rtsp_server, running, snapserver
from tests.sounds import pcm16, tune, write_wav

from genrewatch_drill.servers.icecast import Icecast
from genrewatch_drill.servers.ports import free_port
from genrewatch_drill.servers.programs import find_program

pytestmark = pytest.mark.slow
RATE = 48_000


def loud(running: Running, *, since: int = 0) -> bool:
    """Return whether music is in the blocks."""
    return any(np.abs(block.samples).max(initial=0) > 0.05 for block in running.blocks[since:])


def seconds(running: Running) -> float:
    return sum(len(block.samples) / block.sample_rate for block in running.blocks)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return write_wav(folder / "song.wav", tune(20))


def test_a_second_fifo_output_of_mpd_plays_pauses_and_survives_a_restart(tmp_path, song):
    need("mpd")
    mpd = Mpd(tmp_path, song)
    os.mkfifo(mpd.fifo)
    with Running(opened(f"fifo:{mpd.fifo}?rate=44100&channels=2", stall_s=3)) as source:
        with mpd.playing():
            source.until(lambda: loud(source))
            mpd.send("pause 1")
            source.until(lambda: "offline: no sound for 3 s" in source.events.notified)
            mpd.send("pause 0")
            source.until(lambda: source.source.counts.lost_s.get("pause", 0) > 2)
        source.until(lambda: source.events.notified[-1] == "offline: no writer")
        seen = len(source.blocks)
        with mpd.playing():
            source.until(lambda: loud(source, since=seen))
    assert source.source.counts.lost_s["restart"] > 0


def test_the_http_output_of_mpd_without_a_burst_is_received_within_seconds(tmp_path, song):
    need("mpd", "ffmpeg")
    mpd = Mpd(tmp_path, song)
    with mpd.playing():
        began = time.monotonic()
        with Running(opened(f"http://127.0.0.1:{mpd.http_port}/")) as source:
            source.events.wait(1, 8)
            source.until(lambda: loud(source))
    assert source.events.notified[0] == "online", time.monotonic() - began


def test_snapserver_keeps_its_fifo_and_a_client_of_its_own_is_received(tmp_path):
    need("snapserver", "snapclient")
    ended = threading.Event()
    with snapserver(tmp_path) as (port, fifo), Running(opened(f"fifo:{fifo}?rate=48000&channels=2")) as second:
        threading.Thread(target=play_into, args=(fifo, ended), daemon=True).start()
        second.until(lambda: any("snapserver (process" in line for line in second.events.notified))
        client = f"snapclient -h 127.0.0.1 -p {port} --player file --logsink stderr"
        try:
            with Running(opened(f"cmd:{client}?rate=48000&channels=2")) as source:
                source.until(lambda: loud(source) and seconds(source) > 3)
        finally:
            ended.set()
    assert source.events.notified == ["online"]


def play_into(fifo: Path, ended: threading.Event) -> None:
    """Write music in real time."""
    sound = pcm16(np.repeat(tune(10, rate=RATE), 2))
    with fifo.open("wb", buffering=0) as pipe:
        began, sent = time.monotonic(), 0
        while not ended.is_set():
            pipe.write(sound[sent % len(sound) :][: RATE * 4 // 10])
            sent += RATE * 4 // 10
            time.sleep(max(0.0, began + sent / RATE / 4 - time.monotonic()))


def test_what_pipewire_plays_is_recorded(tmp_path, monkeypatch, song):
    with pipewire(tmp_path, monkeypatch), Running(opened("monitor:hall")) as source:
        source.until(lambda: source.blocks)
        with running(["paplay", "--device=hall", str(song)]):
            source.until(lambda: loud(source))
    assert source.events.notified == ["online"]


def test_a_camera_of_gstreamer_is_received_frozen_and_restarted():
    need("ffmpeg")
    port = free_port()
    with ExitStack() as servers:
        camera = servers.enter_context(rtsp_server(port))
        with Running(opened(f"rtsp://127.0.0.1:{port}/camera", stall_s=4)) as source:
            source.until(lambda: loud(source))
            camera.send_signal(signal.SIGSTOP)
            source.until(lambda: source.events.notified[-1] == "offline: no sound for 4 s")
            camera.send_signal(signal.SIGCONT)
            source.until(lambda: source.events.notified[-1] == "online")
            camera.kill()
            source.until(lambda: source.events.notified[-1].startswith("offline"))
            servers.enter_context(rtsp_server(port))
            source.until(lambda: source.events.notified[-1] == "online")


@pytest.mark.parametrize("kbit", [32, 128])
def test_an_icecast_without_a_burst_is_received_within_seconds(tmp_path, song, kbit):
    if not find_program("icecast2"):
        pytest.skip("icecast2 is not installed")
    with Icecast(tmp_path / "icecast", song, burst_bytes=0) as icecast:
        url = icecast.broadcast("live", "mp3", name="Test", kbit=kbit)
        with Running(opened(url)) as source:
            source.events.wait(1, 8)
            source.until(lambda: loud(source))
    assert source.events.notified[0] == "online"

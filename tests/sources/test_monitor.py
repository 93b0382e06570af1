"""`monitor:` records what a sink plays; against a real PulseAudio with a null sink where one is installed."""

import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from tests.daemon.listening import Running, opened
from tests.sounds import tune, write_wav

from genrewatch.cli import main
from genrewatch.contract.errors import SourceError
from genrewatch.sources.monitor import monitors

installed = all(map(shutil.which, ("pulseaudio", "pactl", "parec", "paplay")))


@pytest.fixture
def sound_server(tmp_path, monkeypatch):
    """A PulseAudio of its own with one sink, `hall`."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.delenv("PULSE_SERVER", raising=False)
    modules = ["-L", "module-native-protocol-unix", "-L", "module-null-sink sink_name=hall"]
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", *modules]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 10
        while not monitors():
            assert time.monotonic() < deadline, "PulseAudio does not start"
            time.sleep(0.1)
        yield
        server.kill()


@pytest.mark.skipif(not installed, reason="PulseAudio is not installed")
@pytest.mark.parametrize("uri", ["monitor:", "monitor:hall", "monitor:hall.monitor"])
def test_what_a_sink_plays_is_recorded(sound_server, tmp_path, uri):
    path = write_wav(tmp_path / "tune.wav", tune(1))
    with Running(opened(uri)) as running:
        running.until(lambda: running.blocks)
        subprocess.run(["paplay", str(path)], check=True)
        running.until(lambda: max(np.abs(block.samples).max(initial=0) for block in running.blocks) > 0.1)
    assert running.blocks[0].sample_rate == 44_100


@pytest.mark.skipif(not installed, reason="PulseAudio is not installed")
def test_devices_prints_the_source_of_each_sink(sound_server, capsys):
    assert main(["devices"]) == 0
    assert "--source monitor:hall\n" in capsys.readouterr().out


def test_without_a_sound_server_there_are_no_monitors(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert monitors() == []
    with pytest.raises(SourceError, match="parec is not installed"):
        opened("monitor:")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin")
    for name in ("pactl", "parec"):
        (tmp_path / name).write_text("#!/bin/sh\necho refused >&2; exit 1\n")
        (tmp_path / name).chmod(0o755)
    assert monitors() == []

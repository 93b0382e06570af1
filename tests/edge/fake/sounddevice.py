"""A stand-in for the sounddevice package: two input devices that play a tone through the callback."""

import math
import os
import struct
import threading
import time
from types import SimpleNamespace

if os.environ.get("FAKE_PORTAUDIO") == "missing":
    raise OSError("PortAudio library not found")

DEVICES = [
    {"name": "HDMI 0", "hostapi": 0, "max_input_channels": 0, "default_samplerate": 48000.0},
    {"name": "USB Audio: Blue Yeti", "hostapi": 0, "max_input_channels": 2, "default_samplerate": 48000.0},
    {"name": "Line-in: codec", "hostapi": 0, "max_input_channels": 1, "default_samplerate": 44100.0},
]
if os.environ.get("FAKE_PORTAUDIO") == "none":
    DEVICES = DEVICES[:1]
default = SimpleNamespace(device=(1, 0))


def query_devices():
    return DEVICES


def query_hostapis(index):
    return {"name": "ALSA"}


class RawInputStream:
    def __init__(self, *, samplerate, channels, dtype, device, blocksize, callback):
        assert dtype == "int16"
        self._args = (samplerate, channels, DEVICES[device], blocksize, callback)

    def __enter__(self):
        threading.Thread(target=self._play, daemon=True).start()
        return self

    def __exit__(self, *exc):
        return None

    def _play(self):
        rate, channels, device, n, callback = self._args
        assert rate == device["default_samplerate"]
        assert channels <= device["max_input_channels"]
        for start in range(0, rate * 30, n):
            tone = (round(8000 * math.sin(2 * math.pi * 440 * (start + k) / rate)) for k in range(n))
            frames = b"".join(struct.pack("<h", value) * channels for value in tone)
            callback(frames, n, None, SimpleNamespace(input_overflow=False))
            time.sleep(0.005)

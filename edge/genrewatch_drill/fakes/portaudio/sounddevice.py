"""A fake of the sounddevice package at the level of its callback.

FAKE_PORTAUDIO names a JSON file, which may change at any time:

    {"devices": [{"name": "Yeti", "rate": 48000, "channels": 2}],      inputs, the first is the default
     "speed": 1.0,                                                     seconds of sound per second
     "sound": "tone" | "silence",
     "mute": ["Yeti"],                                                 devices whose callback is no longer called
     "refused": [48000],                                               sample rates that no device accepts
     "overflows": 0}                                                   each loses half a second and sets the flag

A device that is removed from the file is unplugged: its stream finishes. FAKE_PORTAUDIO=missing is a missing library.
"""

import json
import math
import os
import struct
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

BLOCK_S = 0.1
OVERFLOW_S = 0.5
TONE_HZ = 440
TONE_LEVEL = 8000

if os.environ.get("FAKE_PORTAUDIO", "missing") == "missing":
    raise OSError("PortAudio library not found")


class PortAudioError(Exception):
    """The exception of sounddevice."""


def _plan() -> dict[str, Any]:
    path = Path(os.environ["FAKE_PORTAUDIO"])
    while True:
        try:
            plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:  # the file is being written
            time.sleep(0.01)
        else:
            return plan


def query_devices() -> list[dict[str, Any]]:
    """Return all devices, one output included."""
    output = {"name": "HDMI", "hostapi": 0, "max_input_channels": 0, "default_samplerate": 48000.0}
    inputs = [
        {
            "name": device["name"],
            "hostapi": 0,
            "max_input_channels": device["channels"],
            "default_samplerate": float(device["rate"]),
        }
        for device in _plan()["devices"]
    ]
    return [*inputs, output]


def query_hostapis(index: int) -> dict[str, Any]:
    """Return the only host API."""
    return {"name": "ALSA"}


def check_input_settings(*, device: int, channels: int, dtype: str, samplerate: float) -> None:
    """Raise PortAudioError for a refused rate."""
    if samplerate in _plan().get("refused", []):
        raise PortAudioError("Invalid sample rate [PaErrorCode -9997]", -9997)


default = SimpleNamespace(device=(0, len(query_devices()) - 1))


class RawInputStream:
    """A stream that calls back from its own thread."""

    def __init__(
        self,
        *,
        samplerate: float,
        channels: int,
        dtype: str,
        device: int,
        blocksize: int,
        latency: float,
        callback: Any,
        finished_callback: Any,
    ) -> None:
        check_input_settings(device=device, channels=channels, dtype=dtype, samplerate=samplerate)
        if dtype != "int16" or channels > query_devices()[device]["max_input_channels"]:
            raise PortAudioError("Invalid number of channels [PaErrorCode -9998]", -9998)
        self._name = query_devices()[device]["name"]
        self._rate, self._channels = int(samplerate), channels
        self._callback, self._finished = callback, finished_callback

    def start(self) -> None:
        """Start the thread that calls back."""
        threading.Thread(target=self._play, daemon=True).start()

    def _play(self) -> None:
        frames = round(self._rate * BLOCK_S)
        plan, position, due, overflowed = _plan(), 0, time.monotonic(), 0
        while any(device["name"] == self._name for device in plan["devices"]):
            if self._name not in plan.get("mute", []):
                late = overflowed < plan.get("overflows", 0)
                if late:
                    overflowed += 1
                    position += round(OVERFLOW_S * self._rate)
                when = SimpleNamespace(inputBufferAdcTime=1.0 + position / self._rate)
                self._callback(
                    self._samples(position, frames, plan), frames, when, SimpleNamespace(input_overflow=late)
                )
                position += frames
            due += BLOCK_S / plan.get("speed", 1.0)
            time.sleep(max(0.0, due - time.monotonic()))
            plan = _plan()
        self._finished()

    def _samples(self, position: int, frames: int, plan: dict[str, Any]) -> bytes:
        level = TONE_LEVEL if plan.get("sound", "tone") == "tone" else 0
        turn = 2 * math.pi * TONE_HZ / self._rate
        values = (round(level * math.sin(turn * (position + k))) for k in range(frames))
        return b"".join(struct.pack("<h", value) * self._channels for value in values)

"""Microphones that a test plugs in and out, behind the stand-in for PortAudio."""

import json
import os
from pathlib import Path
from typing import Any

from genrewatch_drill.fakes import PORTAUDIO

ROOT = Path(__file__).parents[2]
YETI = {"name": "Blue Yeti", "rate": 48_000, "channels": 2}
LINE_IN = {"name": "Line-in", "rate": 44_100, "channels": 1}


class Microphones:
    """The microphones of a machine; the fake PortAudio sees every change at once."""

    def __init__(self, path: Path, *devices: dict[str, Any], **more: Any) -> None:
        self._path = path
        paths = os.pathsep.join([str(PORTAUDIO), os.environ.get("PYTHONPATH", "")])
        self.environment = {"FAKE_PORTAUDIO": str(path), "PYTHONPATH": paths}
        self.set(*devices, **more)

    def set(self, *devices: dict[str, Any], **more: Any) -> None:
        """Plug in these devices and no others; `more` are settings of the fake PortAudio."""
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps({"devices": devices, "speed": 10.0, **more}), encoding="utf-8")
        beside.replace(self._path)

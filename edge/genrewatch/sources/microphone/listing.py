"""What input devices there are, asked of a child process, because a sound library may hang or crash."""

import json
import subprocess
import sys
from typing import Any

from genrewatch.contract.errors import SourceError
from genrewatch.sources.microphone.input_devices import InputDevice

_CAPTURE = [sys.executable, "-m", "genrewatch.sources.microphone.capture"]
LIST_TIMEOUT_S = 15.0


def microphone_command(name: str, *, stall_s: float) -> list[str]:
    """The child that records; it gives up a silent card before its supervisor gives it up."""
    return [*_CAPTURE, "--silent-s", f"{0.6 * stall_s:g}", "--", name]


def microphones(*, with_rates: bool = False) -> list[InputDevice]:
    """The input devices, if asked for with the sample rates that each accepts; SourceError with the reason when that
    cannot be said."""
    command = [*_CAPTURE, "--list", *(["--rates"] if with_rates else [])]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=LIST_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise SourceError("microphone", f"no answer from the sound system in {LIST_TIMEOUT_S:g} s") from None
    if answer.returncode != 0:
        lines = answer.stderr.strip().splitlines()
        raise SourceError("microphone", lines[-1] if lines else f"exit code {answer.returncode}")
    return [_device(json.loads(line)) for line in answer.stdout.splitlines()]


def _device(record: dict[str, Any]) -> InputDevice:
    return InputDevice(**record | {"forms": tuple(record["forms"]), "rates": tuple(record["rates"])})

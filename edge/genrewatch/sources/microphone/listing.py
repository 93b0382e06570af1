"""The list of input devices, made in a child process because a sound library may hang or crash."""

import json
import sys
from typing import Any

from genrewatch.contract.errors import SourceError, os_error_reason
from genrewatch.host.process import ChildProcess
from genrewatch.sources.microphone.input_devices import InputDevice

_CAPTURE = [sys.executable, "-P", "-m", "genrewatch.sources.microphone.capture"]
LIST_TIMEOUT_S = 15.0
EXIT_WAIT_S = 1.0


def microphone_command(name: str, *, stall_s: float) -> list[str]:
    """Return the command that records; the child notices a silent card before its supervisor does."""
    return [*_CAPTURE, "--silent-s", f"{0.6 * stall_s:g}", "--", name]


def microphones(*, with_rates: bool = False) -> list[InputDevice]:
    """Return the input devices, with the sample rates that each accepts on request; SourceError with the reason."""
    command = [*_CAPTURE, "--list", *(["--rates"] if with_rates else [])]
    try:
        child = ChildProcess(command)
    except OSError as exc:
        raise SourceError("microphone", os_error_reason(exc)) from None
    with child:
        output = child.stdout.read_all(LIST_TIMEOUT_S)
        code = None if output is None else child.wait(EXIT_WAIT_S)
        if output is None or code is None:
            raise SourceError("microphone", f"no answer from the sound system in {LIST_TIMEOUT_S:g} s")
        if code != 0:
            raise SourceError("microphone", child.last_line() or f"exit code {code}")
    return [_device(json.loads(line)) for line in output.splitlines()]


def _device(record: dict[str, Any]) -> InputDevice:
    return InputDevice(**record | {"forms": tuple(record["forms"]), "rates": tuple(record["rates"])})

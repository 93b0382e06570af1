"""The child process that records a microphone. Only here is PortAudio imported: its hangs and crashes stay here.

    python -m genrewatch.sources.microphone.capture [--silent-s S] [-- NAME]   writes packets to standard output
    python -m genrewatch.sources.microphone.capture --list [--rates]           prints a JSON line for each input device

It ends with one line on standard error when the device is unplugged or PortAudio's callback is no longer called, since
PortAudio knows no hot-plug and only a new process finds the device again. It also ends when its reader closes the pipe,
and with its parent. It exits by `os._exit`, because closing a stream whose device has gone can hang for ever.
"""

import argparse
import json
import os
import queue
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from genrewatch.audio.packets import header, packet
from genrewatch.host.parent_death import kill_with_parent
from genrewatch.sources.microphone.input_devices import RATES, InputDevice, accepted_rates, choose, input_devices
from genrewatch.sources.microphone.recorder import Recorder

SYSTEM_ROOT = "GENREWATCH_SYSTEM_ROOT"
"""Environment variable: the folder that holds /sys and /proc, for a simulated machine."""
LATENCY_S = 0.4  # buffer of the card: a busy machine loses nothing for so long
TICK_S = 0.5
SILENT_S = 6.0
BUSY = -9985  # paDeviceUnavailable

Write = Callable[[bytes], object]


def record(sounddevice: Any, device: InputDevice, write: Write, *, root: Path, silent_s: float) -> None:
    """Write packets of sound until `write` fails; OSError when the device is unplugged or no longer calls back."""
    channels = min(2, device.channels)
    recorder, stream, rate = _open(sounddevice, device, channels)
    stream.start()
    write(header(rate, channels))
    last_sound = time.monotonic()
    while True:
        try:
            received = recorder.take(TICK_S)
        except queue.Empty:
            if not _is_there(device, root):
                raise OSError(f"{device.name} was unplugged") from None
            if time.monotonic() - last_sound > silent_s:
                raise OSError(f"{device.name} has sent no sound for {silent_s:g} s") from None
            continue
        if received is None:
            raise OSError(f"{device.name} " + ("has stopped" if _is_there(device, root) else "was unplugged"))
        last_sound = time.monotonic()
        write(packet(*received))


def _open(sounddevice: Any, device: InputDevice, channels: int) -> tuple[Recorder, Any, int]:
    """Open a stream at the device's own rate, else at the next that it accepts; OSError with the first error."""
    error: Exception | None = None
    for rate in dict.fromkeys([device.rate, *RATES]):
        recorder = Recorder(rate)
        try:
            stream = sounddevice.RawInputStream(
                samplerate=rate,
                channels=channels,
                dtype="int16",
                device=device.index,
                blocksize=0,  # the card's own, so that an overflow is flagged where it was
                latency=LATENCY_S,
                callback=recorder.callback,
                finished_callback=recorder.finished,
            )
        except sounddevice.PortAudioError as exc:
            error = error or exc
            if BUSY in exc.args:
                break
        else:
            return recorder, stream, rate
    raise OSError(f"{device.name} cannot be opened: {_first_line(error)}" + _hint(error))


def _is_there(device: InputDevice, root: Path) -> bool:
    """Return whether the card still exists; a device without a card always does."""
    return device.card is None or (root / f"sys/class/sound/card{device.card}").exists()


def _hint(error: Exception | None) -> str:
    return "; another program may hold it" if error and BUSY in error.args else ""


def _first_line(error: object) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def main(arguments: list[str]) -> int:
    """Run as a child of genrewatch; one line on standard error and exit code 2 when nothing can be recorded."""
    parser = argparse.ArgumentParser(prog="microphone")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--rates", action="store_true")
    parser.add_argument("--silent-s", type=float, default=SILENT_S)
    parser.add_argument("name", nargs="?", default="")
    args = parser.parse_args(arguments)
    kill_with_parent()
    root = Path(os.environ.get(SYSTEM_ROOT, "/"))
    try:
        import sounddevice

        found = input_devices(sounddevice, root)
        if args.list:
            _print_devices(sounddevice, found, with_rates=args.rates)
        else:
            record(sounddevice, choose(found, args.name), _write_all, root=root, silent_s=args.silent_s)
    except BrokenPipeError:
        return 0
    except (OSError, ValueError) as exc:
        print(_first_line(exc), file=sys.stderr, flush=True)
        return 2
    except Exception as exc:  # PortAudioError, whose class exists only where the library does
        print(f"PortAudio: {_first_line(exc)}", file=sys.stderr, flush=True)
        return 2
    return 0


def _print_devices(sounddevice: Any, found: Sequence[InputDevice], *, with_rates: bool) -> None:
    for device in found:
        rates = accepted_rates(sounddevice, device) if with_rates and device.index is not None else ()
        print(json.dumps(asdict(replace(device, rates=rates))), flush=True)


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))

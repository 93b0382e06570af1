"""The microphone, in a process of its own: PortAudio is imported here alone, so nothing else can hang or fall with it.

    python -m edge.sources.microphone NAME     writes WAV without an end to standard output
    python -m edge.sources.microphone --list   prints a JSON line for each input device

A device is chosen by a part of its name, never by its index, which changes with a reboot or a replug. It runs at its
own rate and channels.
"""

import json
import queue
import struct
import sys
from typing import Any

QUEUE_BLOCKS = 200
BLOCK_S = 0.1


def devices(sounddevice: Any) -> list[dict[str, Any]]:
    """The input devices; the default one, if any, is marked."""
    default = sounddevice.default.device[0]
    return [
        {
            "name": device["name"],
            "host_api": sounddevice.query_hostapis(device["hostapi"])["name"],
            "rate": round(device["default_samplerate"]),
            "channels": device["max_input_channels"],
            "default": index == default,
            "index": index,
        }
        for index, device in enumerate(sounddevice.query_devices())
        if device["max_input_channels"] > 0
    ]


def choose(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The device whose name is or contains `name` (any case), or the default for ""; ValueError with what there is."""
    if not found:
        raise ValueError("no microphone on this machine")
    if not name:
        return next((device for device in found if device["default"]), found[0])
    exact = [device for device in found if device["name"].lower() == name.lower()]
    close = exact or [device for device in found if name.lower() in device["name"].lower()]
    if not close:
        raise ValueError(f"no microphone named {name!r}, there is: " + ", ".join(device["name"] for device in found))
    return close[0]


def wav_header(rate: int, channels: int) -> bytes:
    """The header of a 16 bit WAV whose length is not known."""
    fmt = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    return b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data\xff\xff\xff\xff"


def record(sounddevice: Any, device: dict[str, Any]) -> None:
    """Copies what the device gives to standard output until the reader goes away."""
    rate, channels = device["rate"], min(2, device["channels"])
    blocks: queue.Queue[bytes] = queue.Queue(QUEUE_BLOCKS)

    def callback(indata: Any, frames: int, when: Any, status: Any) -> None:
        if status.input_overflow:
            print("input overflow", file=sys.stderr, flush=True)
        try:
            blocks.put_nowait(bytes(indata))
        except queue.Full:
            print("reader too slow, a block is lost", file=sys.stderr, flush=True)

    out = sys.stdout.buffer
    with sounddevice.RawInputStream(
        samplerate=rate,
        channels=channels,
        dtype="int16",
        device=device["index"],
        blocksize=round(rate * BLOCK_S),
        callback=callback,
    ):
        out.write(wav_header(rate, channels))
        while True:
            out.write(blocks.get())
            out.flush()


def main(arguments: list[str]) -> int:
    """Runs as a child of genrewatch; one line on standard error and code 2 when there is nothing to record from."""
    name = arguments[0] if arguments else ""
    try:
        import sounddevice

        found = devices(sounddevice)
        if name == "--list":
            for device in found:
                print(json.dumps(device))
        else:
            record(sounddevice, choose(found, name))
    except BrokenPipeError:
        return 0
    except (OSError, ValueError) as wrong:
        print(str(wrong).splitlines()[0], file=sys.stderr)
        return 2
    except Exception as wrong:  # PortAudioError, whose class exists only where the library does
        print(f"PortAudio: {str(wrong).splitlines()[0]}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

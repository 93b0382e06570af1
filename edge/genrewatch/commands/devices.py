"""`genrewatch devices`: the microphones of this machine, and the --source that opens each."""

import argparse
import json
import shlex
import sys
from dataclasses import asdict

from genrewatch.contract.errors import SourceError
from genrewatch.sources.microphone.input_devices import InputDevice
from genrewatch.sources.microphone.listing import microphones
from genrewatch.sources.monitor import monitors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON lines")


def run(args: argparse.Namespace) -> int:
    """Print a line for each input device and each monitor; return 1 when there is none."""
    played, found = monitors(), list[InputDevice]()
    try:
        found = microphones(with_rates=True)
        if not found and not args.json:
            print("no microphone on this machine; --source file:PATH, stdin:, cmd:COMMAND and demo: work without one")
    except SourceError as exc:
        print(exc, file=sys.stderr)
    for device in found:
        if args.json:
            print(json.dumps({**asdict(device), "identity": device.forms[0], "source": device.source}))
        else:
            mark = "*" if device.default else " "
            print(f"{mark} {device.name}  ({_shape(device)})  --source {shlex.quote(device.source)}")
    for name in played:
        _print_monitor(name, as_json=args.json)
    return 0 if found or played else 1


def _print_monitor(name: str, *, as_json: bool) -> None:
    source = f"monitor:{name}"
    if as_json:
        print(json.dumps({"name": name, "identity": name, "source": source}))
    else:
        print(f"  what {name} plays  --source {shlex.quote(source)}")


def _shape(device: InputDevice) -> str:
    if device.index is None:
        return "in use" + (f" by process {device.owner}" if device.owner else ", or cannot be opened")
    others = [str(rate) for rate in device.rates if rate != device.rate]
    also = f", also {' '.join(others)}" if others else ""
    channels = f"{device.channels} channel" + ("s" if device.channels != 1 else "")
    return f"{device.rate} Hz{also}; {channels}; {device.host_api}"

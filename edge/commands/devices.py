"""`genrewatch devices`: the microphones of this machine and how to name each."""

import json
import sys

from edge.contract.errors import SourceError
from edge.sources.uri import microphones


def devices(*, as_json: bool) -> int:
    """Prints a line for each input device; returns 1 when there is none or the sound system does not answer."""
    try:
        found = microphones()
    except SourceError as wrong:
        print(wrong, file=sys.stderr)
        return 1
    if not found and not as_json:
        print("no microphone on this machine; --source file:PATH, stdin:, cmd:COMMAND and demo: work without one")
    for device in found:
        record = {**device, "source": f"mic:{device['name']}"}
        if as_json:
            print(json.dumps(record))
        else:
            mark = "*" if device["default"] else " "
            shape = f"{device['rate']} Hz, {device['channels']} channels, {device['host_api']}"
            print(f"{mark} {device['name']}  ({shape})  --source {record['source']!r}")
    return 0 if found else 1

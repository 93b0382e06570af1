"""Faults of a microphone, played on a fake PortAudio, because a drill cannot unplug hardware."""

import json
import os
import time
from typing import Any

from genrewatch_drill.fakes import PORTAUDIO
from genrewatch_drill.faults.context import Context
from genrewatch_drill.faults.row import Row, SourceTable
from genrewatch_drill.rig.results import CheckFailed, Outcome

YETI = {"name": "Drill Yeti", "rate": 48_000, "channels": 2}
OTHER = {"name": "Webcam", "rate": 16_000, "channels": 1}
AWAY_S = 2.0
OVERFLOWS = 2


def _plug(context: Context, *devices: dict[str, Any], overflows: int = 0) -> None:
    """Set the devices that are plugged in, in the order of their indices."""
    path = context.directory / "portaudio.json"
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps({"devices": devices, "overflows": overflows}))
    beside.replace(path)
    context.environment["FAKE_PORTAUDIO"] = str(path)
    context.environment["PYTHONPATH"] = os.pathsep.join([str(PORTAUDIO), os.environ.get("PYTHONPATH", "")])


def _replugged() -> Row:
    name = "microphone"

    def sources(context: Context) -> list[SourceTable]:
        _plug(context, YETI, OTHER)
        return [context.source(name, f"mic:{YETI['name']}", stall_s=max(4.0, context.stall_s))]

    def play(context: Context) -> Outcome:
        context.wait(name, "segment")
        fault_at = time.monotonic()
        _plug(context, OTHER)
        context.wait(name, "availability", lambda body: not body["online"], since=fault_at)
        time.sleep(AWAY_S)
        _plug(context, OTHER, YETI)
        outcome = context.outage(name, fault_at, how="unplugged, replugged at another index")
        before_s = context.daemon.lost_s(name)
        _plug(context, OTHER, YETI, overflows=OVERFLOWS)
        if context.daemon.broker:
            context.wait("", "health", lambda body: body["sources"][name]["lost"].get("overflow", 0.0) > 0)
        else:
            context.wait(name, "state", lambda body: (body.get("lost_s") or 0.0) > before_s)
        if context.daemon.lost_s(name) <= before_s:
            raise CheckFailed("an overflow was not counted")
        return Outcome(
            seen=f"{outcome.seen}; an overflow is counted",
            recovered_s=outcome.recovered_s,
            lost_s=outcome.lost_s,
        )

    return Row(name=name, fault="microphone unplugged and replugged, overflow", sources=sources, play=play)


ROWS = (_replugged(),)

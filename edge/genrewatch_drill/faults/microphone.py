"""Faults of a microphone, played on a stand-in for PortAudio, since a drill cannot pull a plug."""

import json
import os
import time
from typing import Any

from genrewatch_drill.fakes import PORTAUDIO
from genrewatch_drill.faults.row import Row, Table
from genrewatch_drill.faults.stage import Outcome, Stage
from genrewatch_drill.rig.record import Unmet

YETI = {"name": "Drill Yeti", "rate": 48_000, "channels": 2}
OTHER = {"name": "Webcam", "rate": 16_000, "channels": 1}
AWAY_S = 2.0
OVERFLOWS = 2


def _plug(stage: Stage, *devices: dict[str, Any], overflows: int = 0) -> None:
    """What is plugged in from now on, in the order of the indices."""
    path = stage.directory / "portaudio.json"
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps({"devices": devices, "overflows": overflows}))
    beside.replace(path)
    stage.environment["FAKE_PORTAUDIO"] = str(path)
    stage.environment["PYTHONPATH"] = os.pathsep.join([str(PORTAUDIO), os.environ.get("PYTHONPATH", "")])


def _replugged() -> Row:
    name = "microphone"

    def sources(stage: Stage) -> list[Table]:
        _plug(stage, YETI, OTHER)
        return [stage.source(name, f"mic:{YETI['name']}", stall_s=max(4.0, stage.stall_s))]

    def play(stage: Stage) -> Outcome:
        stage.until(name, "segment")
        fault_at = time.monotonic()
        _plug(stage, OTHER)
        stage.until(name, "availability", lambda body: not body["online"], since=fault_at)
        time.sleep(AWAY_S)
        _plug(stage, OTHER, YETI)
        outcome = stage.outage(name, fault_at, how="unplugged, replugged at another index")
        before_s = stage.daemon.lost_s(name)
        _plug(stage, OTHER, YETI, overflows=OVERFLOWS)
        if stage.daemon.broker:
            stage.until("", "health", lambda body: body["sources"][name]["lost"].get("overflow", 0.0) > 0)
        else:
            stage.until(name, "state", lambda body: (body.get("lost_s") or 0.0) > before_s)
        if stage.daemon.lost_s(name) <= before_s:
            raise Unmet("an overflow was not counted")
        return Outcome(
            seen=f"{outcome.seen}; an overflow is counted",
            recovered_s=outcome.recovered_s,
            lost_s=outcome.lost_s,
        )

    return Row(name=name, fault="microphone unplugged and replugged, overflow", sources=sources, play=play)


ROWS = (_replugged(),)

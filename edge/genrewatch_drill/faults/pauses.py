"""Pauses on an open pipe: the sound before and after one must not become one segment, and the time is a gap."""

import os
import signal
import subprocess
import time
from pathlib import Path

from genrewatch_drill.faults.context import Context
from genrewatch_drill.faults.row import Row, SourceTable
from genrewatch_drill.rig.results import CheckFailed, Outcome
from genrewatch_drill.rig.sounds import RATE
from genrewatch_drill.servers.faulty_station import BURST_S, FaultyStation

PAUSE_S = 4.0
STREAM_PAUSE_S = 7.0
"""Longer, since bursts before and after it cover a part."""
PATIENT_S = 12.0
"""A stall time longer than the pause: nothing restarts."""


def _fifo() -> Row:
    """Return the row of a writer that holds a FIFO open and pauses for longer than the stall time."""
    name = "fifo-pause"

    def path(context: Context) -> Path:
        return context.directory / f"{name}.fifo"

    def sources(context: Context) -> list[SourceTable]:
        os.mkfifo(path(context))
        return [context.source(name, f"fifo:{path(context)}?rate={RATE}")]

    def play(context: Context) -> Outcome:
        pause_s = context.stall_s + PAUSE_S
        command = context.player_command(name, f"play={context.lead_s} pause={pause_s} play")
        with path(context).open("wb") as pipe:
            writer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe)
        context.resources.callback(writer.wait)
        context.resources.callback(writer.kill)
        paused_at = context.wait_journal(name, "pause")["at"]
        outcome = context.outage(name, paused_at, how="stalled, then a gap")
        context.check_availability_count(name, paused_at, at_most=2)
        return Outcome(seen=outcome.seen, lost_s=outcome.lost_s, really_lost_s=pause_s)

    return Row(name=name, fault="the writer of a FIFO pauses and holds it open", sources=sources, play=play)


def _stream() -> Row:
    """Return the row of a server that pauses for less than the stall time."""
    name = "stream-pause"

    def sources(context: Context) -> list[SourceTable]:
        script = f"play={context.lead_s + 2} pause={STREAM_PAUSE_S} play"
        server = FaultyStation(
            {name: [script]}, context.sounds.mp3, context.sounds.mp3_bytes_per_s, context.write_journal
        )
        context.resources.callback(server.close)
        return [context.source(name, server.url(name), stall_s=PATIENT_S)]

    def play(context: Context) -> Outcome:
        resumed_at = context.wait_journal(name, "resume")["at"]
        outcome = context.check_no_label_across(name, resumed_at, paused_s=STREAM_PAUSE_S, ahead_s=3 * BURST_S)
        context.check_availability_count(name, 0.0, at_most=1)
        return outcome

    return Row(name=name, fault="server pauses", sources=sources, play=play, needs=("ffmpeg", "http"))


def _continued() -> Row:
    """Return the row of a live child that is stopped and continued within its stall time."""
    name = "continued"

    def sources(context: Context) -> list[SourceTable]:
        return [{**context.player(name, "live play"), "stall_s": PATIENT_S}]

    def play(context: Context) -> Outcome:
        context.wait(name, "segment")
        pid = context.journal(name, "start")[-1]["pid"]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(PAUSE_S)
        os.kill(pid, signal.SIGCONT)
        outcome = context.check_no_label_across(name, time.monotonic(), paused_s=PAUSE_S)
        if len(context.journal(name, "start")) > 1:
            raise CheckFailed("the child was restarted")
        return outcome

    return Row(name=name, fault="child stopped and continued (SIGSTOP, SIGCONT)", sources=sources, play=play)


ROWS = (_fifo(), _stream(), _continued())

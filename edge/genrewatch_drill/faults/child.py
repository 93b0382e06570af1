"""Faults of a child process: it dies, stops, wedges, writes garbage, changes its format or writes far too fast."""

import os
import signal
import time

from genrewatch_drill.faults.row import Row, Table
from genrewatch_drill.faults.stage import ROUND_S, Outcome, Stage
from genrewatch_drill.rig.record import Unmet
from genrewatch_drill.rig.sounds import RATE


def _signalled(name: str, fault: str, number: signal.Signals) -> Row:
    def sources(stage: Stage) -> list[Table]:
        return [stage.player(name, "play")]

    def play(stage: Stage) -> Outcome:
        stage.until(name, "segment")
        pid = stage.journal(name, "start")[-1]["pid"]
        fault_at = time.monotonic()
        os.kill(pid, number)
        outcome = stage.outage(name, fault_at, how=number.name)
        stage.check_quiet(name, fault_at, most=2)
        return outcome

    return Row(name=name, fault=fault, sources=sources, play=play)


def _misbehaving(name: str, fault: str, *lives: str, journalled: str, what: str, wav: bool = False) -> Row:
    """A player that does wrong by itself after `{lead}` seconds; `journalled` is its word for it."""

    def sources(stage: Stage) -> list[Table]:
        filled = [life.format(lead=stage.lead_s, stereo=stage.sounds.stereo) for life in lives]
        player = stage.player(name, *filled)
        return [{**player, "uri": player["uri"].rpartition("?")[0]} if wav else player]

    def play(stage: Stage) -> Outcome:
        fault_at = stage.until_journal(name, journalled)["at"]
        outcome = stage.outage(name, fault_at, how=what)
        stage.check_quiet(name, fault_at, most=4)
        return outcome

    return Row(name=name, fault=fault, sources=sources, play=play)


def _overfed(name: str, fault: str, life: str) -> Row:
    """A child that writes more than it should. All of it must be classified or counted, and memory stay
    as it is, which is judged over the whole run.

    A position in the stream counts what was heard and what was lost, so the last one must be where the child stopped.
    """

    def sources(stage: Stage) -> list[Table]:
        return [stage.player(name, f"{life.format(lead=stage.lead_s)} real play=10 stall", "play")]

    def play(stage: Stage) -> Outcome:
        sounded_s = stage.until_journal(name, "stall")["sounded_s"]
        offline = stage.until(name, "availability", lambda body: not body["online"])
        segments = stage.daemon.record.of(name, "segment", until=offline.at)
        end_s, lost_s = segments[-1].body["end_s"], stage.daemon.lost_s(name)
        if not sounded_s - 3 * stage.segment_hop_s < end_s < sounded_s + ROUND_S:
            raise Unmet(f"the last segment ends at {end_s:.1f} s of {sounded_s:.1f} s written")
        if lost_s == 0 and len(segments) < (end_s - stage.front_end.segment_s) / stage.segment_hop_s:
            raise Unmet(f"{len(segments)} segments to {end_s:.1f} s though nothing is said to be lost")
        return Outcome(seen=f"{sounded_s:.0f} s written, {len(segments)} segments", lost_s=lost_s)

    return Row(name=name, fault=fault, sources=sources, play=play)


ROWS = (
    _signalled("killed", "child killed", signal.SIGKILL),
    _signalled("stopped", "child stopped", signal.SIGSTOP),
    _misbehaving(
        "wedged",
        "child wedged, ignores SIGTERM",
        "play={lead} wedge",
        "play",
        journalled="wedge",
        what="killed",
    ),
    _misbehaving("died", "child dies again and again", "play={lead} die", "die", "play", journalled="die", what="died"),
    _misbehaving(
        "garbage",
        "child writes text instead of WAV",
        f"wav={RATE}/1 play={{lead}} die",
        "text",
        f"wav={RATE}/1 play",
        journalled="die",
        what="refused",
        wav=True,
    ),
    _misbehaving(
        "format",
        "child changes rate and channels",
        f"wav={RATE}/1 play={{lead}} die",
        f"use={{stereo}}/{8 * RATE} wav={2 * RATE}/2 play",
        journalled="die",
        what="44.1 kHz stereo after 22.05 kHz mono",
        wav=True,
    ),
    _overfed("fast", "source that delivers ten times too fast", "fast=10 play=60"),
    _overfed("flood", "source that writes 20 minutes at once", "play={lead} burst=1200"),
)

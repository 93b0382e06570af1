"""Faults of a child process: it exits, stops, hangs, writes garbage, changes its format or writes far too fast."""

import os
import signal
import time

from genrewatch_drill.faults.context import SLACK_S, Context
from genrewatch_drill.faults.row import Row, SourceTable
from genrewatch_drill.rig.results import CheckFailed, Outcome
from genrewatch_drill.rig.sounds import RATE


def _signalled(name: str, fault: str, number: signal.Signals) -> Row:
    def sources(context: Context) -> list[SourceTable]:
        return [context.player(name, "play")]

    def play(context: Context) -> Outcome:
        context.wait(name, "segment")
        pid = context.journal(name, "start")[-1]["pid"]
        fault_at = time.monotonic()
        os.kill(pid, number)
        outcome = context.outage(name, fault_at, how=number.name)
        context.check_availability_count(name, fault_at, at_most=2)
        return outcome

    return Row(name=name, fault=fault, sources=sources, play=play)


def _misbehaving(name: str, fault: str, *scripts: str, step: str, seen: str, wav: bool = False) -> Row:
    """Return the row of a player that misbehaves after `{lead}` seconds; `step` is the faulty step of its script."""

    def sources(context: Context) -> list[SourceTable]:
        filled = [script.format(lead=context.lead_s, stereo=context.sounds.stereo) for script in scripts]
        player = context.player(name, *filled)
        return [{**player, "uri": player["uri"].rpartition("?")[0]} if wav else player]

    def play(context: Context) -> Outcome:
        fault_at = context.wait_journal(name, step)["at"]
        outcome = context.outage(name, fault_at, how=seen)
        context.check_availability_count(name, fault_at, at_most=4)
        return outcome

    return Row(name=name, fault=fault, sources=sources, play=play)


def _overfed(name: str, fault: str, script: str) -> Row:
    """Return the row of a child that writes faster than real time: everything must be classified or counted as lost.

    Positions in the stream count received and lost samples, so the last one must be where the child stopped. Memory is
    checked over the whole run.
    """

    def sources(context: Context) -> list[SourceTable]:
        return [context.player(name, f"{script.format(lead=context.lead_s)} real play=10 stall", "play")]

    def play(context: Context) -> Outcome:
        written_s = context.wait_journal(name, "stall")["written_s"]
        offline = context.wait(name, "availability", lambda body: not body["online"])
        segments = context.daemon.messages.of(name, "segment", until=offline.at)
        end_s, lost_s = segments[-1].body["end_s"], context.daemon.lost_s(name)
        hop_s = context.segment_hop_s * context.daemon.hop_factor(name)
        if not written_s - 3 * hop_s < end_s < written_s + SLACK_S:
            raise CheckFailed(f"the last segment ends at {end_s:.1f} s of {written_s:.1f} s written")
        if lost_s == 0 and len(segments) < (end_s - context.front_end.segment_s) / hop_s:
            raise CheckFailed(f"{len(segments)} segments to {end_s:.1f} s though no lost sound was counted")
        return Outcome(seen=f"{written_s:.0f} s written, {len(segments)} segments", lost_s=lost_s)

    return Row(name=name, fault=fault, sources=sources, play=play)


def _soundless(name: str, fault: str, script: str, *, why: str) -> Row:
    """Return the row of a child that writes bytes and no sound: it is never online, and ended in bounded memory."""

    def sources(context: Context) -> list[SourceTable]:
        player = context.player(name, script)
        return [{**player, "uri": player["uri"].rpartition("?")[0]} if script == "chunks" else player]

    def play(context: Context) -> Outcome:
        return context.never_online(name, why=why, restarts=1)

    return Row(name=name, fault=fault, sources=sources, play=play)


ROWS = (
    _signalled("killed", "child killed", signal.SIGKILL),
    _signalled("stopped", "child stopped", signal.SIGSTOP),
    _misbehaving(
        "wedged",
        "child hangs and ignores SIGTERM",
        "play={lead} wedge",
        "play",
        step="wedge",
        seen="killed",
    ),
    _misbehaving("died", "child dies again and again", "play={lead} die", "die", "play", step="die", seen="died"),
    _misbehaving(
        "garbage",
        "child writes text instead of WAV",
        f"wav={RATE}/1 play={{lead}} die",
        "text",
        f"wav={RATE}/1 play",
        step="die",
        seen="refused",
        wav=True,
    ),
    _misbehaving(
        "format",
        "child changes rate and channels",
        f"wav={RATE}/1 play={{lead}} die",
        f"use={{stereo}}/{8 * RATE} wav={2 * RATE}/2 play",
        step="die",
        seen="44.1 kHz stereo after 22.05 kHz mono",
        wav=True,
    ),
    _soundless("trickle", "child writes one byte a second", "trickle", why="(first_sound_s)"),
    _soundless("chunks", "child writes WAV chunks without end", "chunks", why="of WAV chunks before the sound"),
    _overfed("fast", "source that delivers ten times too fast", "fast=10 play=60"),
    _overfed("flood", "source that writes 20 minutes at once", "play={lead} burst=1200"),
)

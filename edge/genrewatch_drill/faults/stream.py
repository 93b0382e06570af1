"""Faults of streams and FIFOs.

A server stalls, closes, refuses or sends garbage; a host name has no address; a station is killed; a writer exits.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from genrewatch_drill.faults.context import Context
from genrewatch_drill.faults.row import Row, SourceTable
from genrewatch_drill.rig.results import CheckFailed, Outcome
from genrewatch_drill.rig.sounds import RATE
from genrewatch_drill.servers.faulty_station import FaultyStation
from genrewatch_drill.servers.icecast import ENCODING, Icecast

NOWHERE = "http://no-such-host.invalid/live.mp3"  # .invalid never resolves (RFC 2606)
AWAY_S = 2.0
AHEAD_S = 2.0
"""Seconds of sound that our server sends at once to a new listener."""
STATION_AHEAD_S = 6.0
"""The same of Icecast, with a codec whose quiet passages take few bytes."""
STATION = "Drill FM"


def _served(name: str, fault: str, *scripts: str, step: str, seen: str) -> Row:
    """Return the row of a stream whose server misbehaves; `step` is the faulty step of its script."""

    def sources(context: Context) -> list[SourceTable]:
        filled = [script.format(lead=context.lead_s + 2) for script in scripts]
        server = FaultyStation(
            {name: filled}, context.sounds.mp3, context.sounds.mp3_bytes_per_s, context.write_journal
        )
        context.resources.callback(server.close)
        return [context.stream(name, server.url(name))]

    def play(context: Context) -> Outcome:
        fault_at = context.wait_journal(name, step)["at"]
        outcome = context.outage(name, fault_at, how=seen, ahead_s=AHEAD_S)
        context.check_availability_count(name, fault_at, at_most=4)
        return outcome

    return Row(name=name, fault=fault, sources=sources, play=play, needs=("ffmpeg", "http"))


def _absent(name: str, fault: str, uri: Callable[[Context], str]) -> Row:
    """Return the row of a stream that does not exist: it must be retried for ever and be published offline once."""

    def sources(context: Context) -> list[SourceTable]:
        return [context.stream(name, uri(context))]

    def play(context: Context) -> Outcome:
        return context.never_online(name)

    return Row(name=name, fault=fault, sources=sources, play=play, needs=("ffmpeg", "http"))


def _changing() -> Row:
    """Return the row of a stream that changes its format: it must continue at the right speed."""
    name = "stream-format"

    def sources(context: Context) -> list[SourceTable]:
        script = f"play={context.lead_s} use={context.sounds.mp3_stereo} play"
        server = FaultyStation(
            {name: [script]}, context.sounds.mp3, context.sounds.mp3_bytes_per_s, context.write_journal
        )
        context.resources.callback(server.close)
        return [context.stream(name, server.url(name))]

    def play(context: Context) -> Outcome:
        change = context.wait_journal(name, "use")["at"]
        first = context.wait(name, "segment")
        last = context.wait(name, "segment", since=change + context.front_end.segment_s + 2 * context.segment_hop_s)
        sound_s, took_s = last.body["end_s"] - first.body["end_s"], last.at - first.at
        if abs(sound_s - took_s) > 0.25 * took_s + context.segment_hop_s:
            raise CheckFailed(f"{sound_s:.1f} s of sound in {took_s:.1f} s")
        context.check_availability_count(name, first.at, at_most=2)
        return Outcome(
            seen=f"{sound_s:.1f} s of sound in {took_s:.1f} s across the change", lost_s=context.daemon.lost_s(name)
        )

    return Row(
        name=name, fault="stream changes rate and channels", sources=sources, play=play, needs=("ffmpeg", "http")
    )


STATION_NAMES = {codec: f"station-{codec}" for codec in ENCODING}


def _station() -> Row:
    """Return the row of a real Icecast that is killed and restarted; its name and titles must be published."""
    names = list(STATION_NAMES.values())

    def sources(context: Context) -> list[SourceTable]:
        icecast = context.icecast = Icecast(context.directory / "icecast", context.sounds.music_wav)
        context.resources.callback(icecast.close)
        icecast.start()
        return [
            context.stream(name, icecast.broadcast(name, codec, name=STATION, title=f"Drill number 1 in {codec}"))
            for codec, name in STATION_NAMES.items()
        ]

    def play(context: Context) -> Outcome:
        icecast = context.icecast
        assert icecast is not None
        _check_titles(context, icecast)
        fault_at = time.monotonic()
        icecast.kill()
        for name in names:
            context.wait(name, "availability", lambda body: not body["online"], since=fault_at)
        time.sleep(AWAY_S)
        icecast.start()
        outcomes = [context.outage(name, fault_at, how="killed", ahead_s=STATION_AHEAD_S) for name in names]
        for name in names:
            context.check_availability_count(name, fault_at, at_most=4)
        slowest = max(outcomes, key=lambda outcome: outcome.recovered_s or 0.0)
        seen = f"{', '.join(ENCODING)} with names and titles; {slowest.seen}"
        return Outcome(seen=seen, recovered_s=slowest.recovered_s, lost_s=slowest.lost_s)

    needs = ("ffmpeg", "icecast2", "http")
    return Row(name="station", fault="Icecast killed and restarted", sources=sources, play=play, needs=needs)


def _check_titles(context: Context, icecast: Icecast) -> None:
    """Wait for the name of each station and for a title that changes; the titles of Ogg are part of the stream."""
    for name in STATION_NAMES.values():
        context.wait(name, "segment")
    for codec, name in STATION_NAMES.items():
        context.wait(name, "state", lambda body: body.get("station") == STATION)
        wanted = "Drill number 1 in ogg" if codec == "ogg" else f"Übung 2 in {codec}"
        if codec != "ogg":
            icecast.title(name, wanted)
        context.wait(name, "state", lambda body, wanted=wanted: body.get("title") == wanted)


def _fifo() -> Row:
    name = "fifo"

    def path(context: Context) -> Path:
        return context.directory / "sound.fifo"

    def writer(context: Context) -> subprocess.Popen[bytes]:
        with path(context).open("wb") as pipe:
            return subprocess.Popen(context.player_command(name, "play"), stdin=subprocess.DEVNULL, stdout=pipe)

    def sources(context: Context) -> list[SourceTable]:
        os.mkfifo(path(context))
        return [context.source(name, f"fifo:{path(context)}?rate={RATE}")]

    def play(context: Context) -> Outcome:
        first = writer(context)
        context.resources.callback(first.wait)
        context.resources.callback(first.kill)
        context.wait(name, "segment")
        first.kill()
        fault_at = time.monotonic()
        context.wait(name, "availability", lambda body: not body["online"], since=fault_at)
        time.sleep(AWAY_S)
        second = writer(context)
        context.resources.callback(second.wait)
        context.resources.callback(second.kill)
        outcome = context.outage(name, fault_at, how="writer restarted")
        context.check_availability_count(name, fault_at, at_most=2)
        return outcome

    return Row(name=name, fault="the writer of a FIFO exits and is restarted", sources=sources, play=play)


def _not_found(context: Context) -> str:
    server = FaultyStation({"404": ["404"]}, context.sounds.music, 1, context.write_journal)
    context.resources.callback(server.close)
    return server.url("404")


ROWS = (
    _served("stalls", "server stalls without closing", "play={lead} stall", "play", step="stall", seen="stalled"),
    _served("closes", "server closes", "play={lead} close", "play", step="close", seen="closed"),
    _served(
        "refuses",
        "server closes, then answers 404 twice",
        "play={lead} close",
        "404",
        "404",
        "play",
        step="close",
        seen="404",
    ),
    _served(
        "stream-garbage",
        "server sends garbage, then closes",
        "play={lead} noise=2 close",
        "noise=1 close",
        "play",
        step="close",
        seen="garbage",
    ),
    _absent("404", "server answers 404 for ever", _not_found),
    _absent("dns", "name that has no address", lambda context: NOWHERE),
    _changing(),
    _fifo(),
    _station(),
)

"""Faults of streams: a server that stalls, closes, refuses or sends garbage, a name without an address, a station that
is killed, a FIFO whose writer goes."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from genrewatch_drill.faults.row import Row, Table
from genrewatch_drill.faults.stage import Outcome, Stage
from genrewatch_drill.rig.icecast import ENCODING, STATION, Station
from genrewatch_drill.rig.record import Unmet
from genrewatch_drill.rig.server import BadServer
from genrewatch_drill.rig.sounds import RATE

NOWHERE = "http://no-such-host.invalid/live.mp3"  # .invalid is promised never to resolve
AWAY_S = 2.0
AHEAD_S = 2.0  # of sound that our server sends at once to whoever comes
STATION_AHEAD_S = 6.0  # and Icecast, with a codec whose quiet passages take few bytes


def _served(name: str, fault: str, *visits: str, journalled: str, what: str) -> Row:
    """A stream whose server misbehaves by itself; `journalled` is its word for it."""

    def sources(stage: Stage) -> list[Table]:
        filled = [visit.format(lead=stage.lead_s + 2, other=stage.sounds.mp3_stereo) for visit in visits]
        server = BadServer({name: filled}, stage.sounds.mp3, stage.sounds.mp3_bytes_per_s, stage.write_journal)
        stage.resources.callback(server.close)
        return [stage.stream(name, server.url(name))]

    def play(stage: Stage) -> Outcome:
        fault_at = stage.until_journal(name, journalled)["at"]
        outcome = stage.outage(name, fault_at, how=what, ahead_s=AHEAD_S)
        stage.check_quiet(name, fault_at, most=4)
        return outcome

    return Row(name=name, fault=fault, sources=sources, play=play, needs=("ffmpeg", "http"))


def _absent(name: str, fault: str, uri: Callable[[Stage], str]) -> Row:
    """A stream that is not there must be tried again and again, and said once."""

    def sources(stage: Stage) -> list[Table]:
        return [stage.stream(name, uri(stage))]

    def play(stage: Stage) -> Outcome:
        offline = stage.until(name, "availability", lambda body: not body["online"])
        if stage.daemon.broker:
            stage.until("", "health", lambda body: body["sources"][name]["restarts"] >= 3)
        state = stage.until(name, "state").body
        if state["reason"] != "stalled" or stage.daemon.record.of(name, "segment"):
            raise Unmet(f"called {state['reason']!r}")
        stage.check_quiet(name, 0.0, most=1)
        tried = stage.daemon.source_health(name).get("restarts")
        return Outcome(
            seen=f"offline after {offline.at - stage.daemon.started:.1f} s, said once, tried {tried} times more"
        )

    return Row(name=name, fault=fault, sources=sources, play=play, needs=("ffmpeg", "http"))


def _changing() -> Row:
    """A stream that changes rate and channels without a pause goes on, at its true speed."""
    name = "stream-format"

    def sources(stage: Stage) -> list[Table]:
        visit = f"play={stage.lead_s} use={stage.sounds.mp3_stereo} play"
        server = BadServer({name: [visit]}, stage.sounds.mp3, stage.sounds.mp3_bytes_per_s, stage.write_journal)
        stage.resources.callback(server.close)
        return [stage.stream(name, server.url(name))]

    def play(stage: Stage) -> Outcome:
        change = stage.until_journal(name, "use")["at"]
        first = stage.until(name, "segment")
        last = stage.until(name, "segment", since=change + stage.front_end.segment_s + 2 * stage.segment_hop_s)
        sounded_s, took_s = last.body["end_s"] - first.body["end_s"], last.at - first.at
        if abs(sounded_s - took_s) > 0.25 * took_s + stage.segment_hop_s:
            raise Unmet(f"{sounded_s:.1f} s of sound in {took_s:.1f} s")
        stage.check_quiet(name, first.at, most=2)
        return Outcome(
            seen=f"{sounded_s:.1f} s of sound in {took_s:.1f} s across the change", lost_s=stage.daemon.lost_s(name)
        )

    return Row(
        name=name, fault="stream changes rate and channels", sources=sources, play=play, needs=("ffmpeg", "http")
    )


def _station() -> Row:
    """A real Icecast is killed and comes back; its name and titles are published beside the genre."""
    names = {codec: f"station-{codec}" for codec in ENCODING}

    def sources(stage: Stage) -> list[Table]:
        station = Station(stage.directory / "icecast", stage.sounds.music_wav)
        stage.resources.callback(station.kill)
        station.start()
        stage.stations.append(station)
        return [stage.stream(name, station.url(codec)) for codec, name in names.items()]

    def play(stage: Stage) -> Outcome:
        station = stage.stations[0]
        for name in names.values():
            stage.until(name, "segment")
        for codec, name in names.items():
            stage.until(name, "state", lambda body: body.get("station") == STATION)
            if codec != "ogg":  # whose titles are part of the stream itself
                station.title(codec, f"Übung 2 in {codec}")
            wanted = f"Übung 2 in {codec}" if codec != "ogg" else "Drill number 1 in ogg"
            stage.until(name, "state", lambda body, wanted=wanted: body.get("title") == wanted)
        fault_at = time.monotonic()
        station.kill()
        for name in names.values():
            stage.until(name, "availability", lambda body: not body["online"], since=fault_at)
        time.sleep(AWAY_S)
        station.start()
        outcomes = [stage.outage(name, fault_at, how="killed", ahead_s=STATION_AHEAD_S) for name in names.values()]
        for name in names.values():
            stage.check_quiet(name, fault_at, most=4)
        slowest = max(outcomes, key=lambda outcome: outcome.recovered_s or 0.0)
        return Outcome(
            seen=f"{', '.join(names)} with names and titles; {slowest.seen}",
            recovered_s=slowest.recovered_s,
            lost_s=slowest.lost_s,
        )

    return Row(
        name="station",
        fault="Icecast killed and restarted",
        sources=sources,
        play=play,
        needs=("ffmpeg", "icecast2", "http"),
    )


def _fifo() -> Row:
    name = "fifo"

    def path(stage: Stage) -> Path:
        return stage.directory / "sound.fifo"

    def writer(stage: Stage) -> subprocess.Popen[bytes]:
        with path(stage).open("wb") as pipe:
            return subprocess.Popen(stage.player_command(name, "play"), stdin=subprocess.DEVNULL, stdout=pipe)

    def sources(stage: Stage) -> list[Table]:
        os.mkfifo(path(stage))
        return [stage.source(name, f"fifo:{path(stage)}?rate={RATE}")]

    def play(stage: Stage) -> Outcome:
        first = writer(stage)
        stage.resources.callback(first.wait)
        stage.resources.callback(first.kill)
        stage.until(name, "segment")
        first.kill()
        fault_at = time.monotonic()
        stage.until(name, "availability", lambda body: not body["online"], since=fault_at)
        time.sleep(AWAY_S)
        second = writer(stage)
        stage.resources.callback(second.wait)
        stage.resources.callback(second.kill)
        outcome = stage.outage(name, fault_at, how="writer gone and back")
        stage.check_quiet(name, fault_at, most=2)
        return outcome

    return Row(name=name, fault="FIFO's writer goes and comes back", sources=sources, play=play)


def _not_found(stage: Stage) -> str:
    server = BadServer({"404": ["404"]}, stage.sounds.music, 1, stage.write_journal)
    stage.resources.callback(server.close)
    return server.url("404")


ROWS = (
    _served("stalls", "server stalls without closing", "play={lead} stall", "play", journalled="stall", what="stalled"),
    _served("closes", "server closes", "play={lead} close", "play", journalled="close", what="closed"),
    _served(
        "refuses",
        "server closes, then answers 404 twice",
        "play={lead} close",
        "404",
        "404",
        "play",
        journalled="close",
        what="404",
    ),
    _served(
        "stream-garbage",
        "server sends garbage, then closes",
        "play={lead} noise=2 close",
        "noise=1 close",
        "play",
        journalled="close",
        what="garbage",
    ),
    _absent("404", "server answers 404 for ever", _not_found),
    _absent("dns", "name that has no address", lambda stage: NOWHERE),
    _changing(),
    _fifo(),
    _station(),
)

"""What a row of the drill works with: the daemon, the sounds, a journal of what has really happened, and the checks."""

import json
import shlex
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genrewatch.contract.front_end import FrontEndConfig
from genrewatch.inference.pipeline import Pipeline
from genrewatch_drill.fakes import PLAYER
from genrewatch_drill.rig.icecast import Station
from genrewatch_drill.rig.record import Said, Unmet
from genrewatch_drill.rig.sounds import RATE, Sounds
from genrewatch_drill.rig.subject import Subject

OFFLINE_WITHIN_S = 10.0
STREAM_STALL_S = 5.0
ROUND_S = 0.5  # of a block, a queue and a pipe: what is said of positions is no finer
PATIENCE_S = 90.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a row has seen."""

    seen: str
    recovered_s: float | None = None
    """Seconds from the fault until sound arrived again; None where nothing had to recover."""
    lost_s: float | None = None
    """Sound lost as the daemon counts it, seconds."""
    really_lost_s: float | None = None
    """Sound that was really lost, where that is known."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Set up once for a run; a row asks it for its sources before the daemon starts, and plays when it runs."""

    directory: Path
    sounds: Sounds
    short: bool
    pipeline: Pipeline
    """What the daemon listens with, to say what it should say."""
    resources: ExitStack
    """Closed at the end: servers, writers."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables that rows want the daemon and its children to have."""
    stations: list[Station] = field(default_factory=list)
    """Radio stations on the air."""
    subject: list[Subject] = field(default_factory=list)
    """Empty until the daemon runs."""

    @property
    def stall_s(self) -> float:
        """The stall time that the daemon is configured with."""
        return 1.5 if self.short else 8.0

    @property
    def front_end(self) -> FrontEndConfig:
        """The geometry of a segment."""
        return self.pipeline.manifest.front_end

    @property
    def segment_hop_s(self) -> float:
        """Seconds from segment to segment."""
        return self.pipeline.vote.segment_hop / self.front_end.sample_rate

    @property
    def daemon(self) -> Subject:
        """The daemon under test."""
        return self.subject[0]

    @property
    def lead_s(self) -> float:
        """Seconds that a child plays before it does wrong: enough for a segment, and a little."""
        return self.front_end.segment_s + 1.0

    def source(self, source: str, uri: str, **more: Any) -> dict[str, Any]:
        """A `[[source]]` table."""
        return {"id": source, "uri": uri, "stall_s": self.stall_s, **more}

    def stream(self, source: str, url: str) -> dict[str, Any]:
        """The same for a stream, whose decoder needs a while before its first byte."""
        return self.source(source, url, stall_s=max(STREAM_STALL_S, self.stall_s))

    def player(
        self, source: str, *lives: str, sound: Path | None = None, bytes_per_s: int = 2 * RATE, options: str = ""
    ) -> dict[str, Any]:
        """A source that is a player with these lives; `options` say the format, unless it writes WAV."""
        words = self.player_command(source, *lives, sound=sound, bytes_per_s=bytes_per_s)
        return self.source(source, f"cmd:{shlex.join(words)}?{options or f'rate={RATE}'}")

    def player_command(
        self, source: str, *lives: str, sound: Path | None = None, bytes_per_s: int = 2 * RATE
    ) -> list[str]:
        """The command of a player."""
        program = [sys.executable, "-I", "-S", str(PLAYER), str(self.journal_path(source))]
        return [*program, str(sound or self.sounds.music), str(bytes_per_s), *lives]

    def journal_path(self, source: str) -> Path:
        """Where a misbehaving program writes down what it does."""
        return self.directory / f"{source}.journal"

    def journal(self, source: str, what: str) -> list[dict[str, Any]]:
        """What it wrote down so far, of one sort."""
        path = self.journal_path(source)
        entries = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
        return [entry for entry in entries if entry["what"] == what]

    def write_journal(self, source: str, what: str) -> None:
        """Writes down something that has happened now."""
        with self.journal_path(source).open("a") as file:
            file.write(json.dumps({"what": what, "at": time.monotonic()}) + "\n")

    def until_journal(self, source: str, what: str, *, count: int = 1) -> dict[str, Any]:
        """Waits until something has happened for the n-th time."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = self.journal(source, what)
            if len(found) >= count:
                return found[count - 1]
            self.daemon.check_alive()
            time.sleep(0.05)
        raise Unmet(f"the {source} never came to {what!r}")

    def until(self, source: str, kind: Any, test: Any = lambda body: True, *, since: float = 0.0) -> Said:
        """See `Record.wait`, with all the patience that a slow machine needs."""
        return self.daemon.record.wait(source, kind, test, since=since, within_s=PATIENCE_S)

    def outage(self, source: str, fault_at: float, *, how: str, ahead_s: float = 0.0) -> Outcome:
        """Follows a source from a fault to its first segment after it, and checks all that must hold in between.

        `how` is a word for what was seen; `ahead_s` is the sound that a server sends at once to whoever comes.
        """
        record = self.daemon.record
        offline = self.until(source, "availability", lambda body: not body["online"], since=fault_at)
        online = self.until(source, "availability", lambda body: body["online"], since=offline.at)
        segment = self.until(source, "segment", since=online.at)
        if offline.at - fault_at > OFFLINE_WITHIN_S:
            raise Unmet(f"offline {offline.at - fault_at:.1f} s after the fault, more than {OFFLINE_WITHIN_S:g}")
        for state in record.of(source, "state", since=offline.at, until=online.at):
            if state.body["reason"] not in ("stalled", None):
                raise Unmet(f"the gap is called {state.body['reason']!r}")
        self._check_no_label_for_the_gap(source, offline, online, segment, ahead_s)
        lost_s = self.daemon.lost_s(source)
        written = [entry["at"] for entry in self.journal(source, "sound") if entry["at"] > fault_at]
        really_lost_s = written[0] - fault_at if written else None
        if lost_s <= 0:
            raise Unmet("no lost sound was counted")
        return Outcome(
            seen=f"{how}, offline after {offline.at - fault_at:.1f} s",
            recovered_s=online.at - fault_at,
            lost_s=lost_s,
            really_lost_s=really_lost_s,
        )

    def _check_no_label_for_the_gap(
        self, source: str, offline: Said, online: Said, after: Said, ahead_s: float
    ) -> None:
        """The first segment after the gap must hold nothing of what was before: it comes a whole segment later."""
        inside = self.daemon.record.of(source, "segment", since=offline.at + ROUND_S, until=online.at)
        if inside:
            raise Unmet("a segment was classified while no sound arrived")
        before = self.daemon.record.of(source, "segment", until=offline.at + ROUND_S)
        if before and after.body["start_s"] < before[-1].body["end_s"]:
            raise Unmet("a segment spans the gap")
        if after.at - online.at < self.front_end.segment_s - ahead_s - 2 * ROUND_S:
            raise Unmet(f"a segment {after.at - online.at:.1f} s after the gap, too soon to hold new sound alone")

    def check_quiet(self, source: str, since: float, *, most: int) -> None:
        """Unmet when a source's availability was said more often than `most` times since then."""
        said = len(self.daemon.record.of(source, "availability", since=since))
        if said > most:
            raise Unmet(f"availability said {said} times")

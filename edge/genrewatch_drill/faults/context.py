"""The context that all rows share: daemon, sounds, journals of what really happened, and the check of an outage."""

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genrewatch.contract.front_end import FrontEndConfig
from genrewatch.inference.pipeline import Pipeline
from genrewatch_drill.rig.daemon import DaemonProcess
from genrewatch_drill.rig.messages import Message
from genrewatch_drill.rig.player import command_uri, player_command
from genrewatch_drill.rig.results import CheckFailed, Outcome
from genrewatch_drill.rig.sounds import RATE, Sounds
from genrewatch_drill.servers.icecast import Icecast

OFFLINE_WITHIN_S = 10.0
STREAM_STALL_S = 5.0
SLACK_S = 0.5
"""A block, a queue and a pipe: stream positions are known no better than this."""
TIMEOUT_S = 90.0


@dataclass(kw_only=True)
class Context:
    """One run of the drill; a row returns its sources before the daemon starts, and is played while it runs."""

    directory: Path
    sounds: Sounds
    short: bool
    pipeline: Pipeline
    """The daemon's pipeline, which gives the expected results."""
    resources: ExitStack
    """Servers and writers, closed at the end."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables that rows set for the daemon and its child processes."""
    icecast: Icecast | None = None
    """The radio station of the row that needs one."""
    running: DaemonProcess | None = None
    """None until the daemon has started."""

    @property
    def stall_s(self) -> float:
        """`stall_s` of the sources."""
        return 1.5 if self.short else 8.0

    @property
    def front_end(self) -> FrontEndConfig:
        """The geometry of a segment."""
        return self.pipeline.manifest.front_end

    @property
    def segment_hop_s(self) -> float:
        """Seconds between segments."""
        return self.pipeline.vote.segment_hop / self.front_end.sample_rate

    @property
    def daemon(self) -> DaemonProcess:
        """The daemon under test."""
        assert self.running is not None
        return self.running

    @property
    def lead_s(self) -> float:
        """Seconds that a source plays before its fault: a little more than a segment."""
        return self.front_end.segment_s + 1.0

    def source(self, source: str, uri: str, **more: Any) -> dict[str, Any]:
        """Return a `[[source]]` table."""
        return {"id": source, "uri": uri, "stall_s": self.stall_s, **more}

    def stream(self, source: str, url: str) -> dict[str, Any]:
        """Return the table of a stream, whose decoder needs longer before its first byte."""
        return self.source(source, url, stall_s=max(STREAM_STALL_S, self.stall_s))

    def player(
        self, source: str, *scripts: str, sound: Path | None = None, bytes_per_s: int = 2 * RATE, options: str = ""
    ) -> dict[str, Any]:
        """Return the table of a player; `options` name its format, unless it writes WAV."""
        command = self.player_command(source, *scripts, sound=sound, bytes_per_s=bytes_per_s)
        return self.source(source, command_uri(command, options or f"rate={RATE}"))

    def player_command(
        self, source: str, *scripts: str, sound: Path | None = None, bytes_per_s: int = 2 * RATE
    ) -> list[str]:
        """Return the command of a player that writes to the journal of a source."""
        return player_command(self.journal_path(source), sound or self.sounds.music, *scripts, bytes_per_s=bytes_per_s)

    def journal_path(self, source: str) -> Path:
        """Return the file to which a player or station writes what it does."""
        return self.directory / f"{source}.journal"

    def journal(self, source: str, step: str) -> list[dict[str, Any]]:
        """Return the entries of one step so far."""
        path = self.journal_path(source)
        entries = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
        return [entry for entry in entries if entry["step"] == step]

    def write_journal(self, source: str, step: str) -> None:
        """Append a step that happens now."""
        with self.journal_path(source).open("a") as file:
            file.write(json.dumps({"step": step, "at": time.monotonic()}) + "\n")

    def wait_journal(self, source: str, step: str, *, count: int = 1) -> dict[str, Any]:
        """Wait for the n-th entry of a step and return it; CheckFailed when it never comes."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            found = self.journal(source, step)
            if len(found) >= count:
                return found[count - 1]
            self.daemon.check_alive()
            time.sleep(0.05)
        raise CheckFailed(f"{source} never reached its step {step!r}")

    def wait(self, source: str, kind: Any, test: Any = lambda body: True, *, since: float = 0.0) -> Message:
        """Call `MessageLog.wait` with a timeout that suits a slow machine."""
        return self.daemon.messages.wait(source, kind, test, since=since, within_s=TIMEOUT_S)

    def outage(self, source: str, fault_at: float, *, how: str, ahead_s: float = 0.0) -> Outcome:
        """Follow a source from a fault to its first segment after it; CheckFailed when the daemon handles it wrongly.

        `how` describes the fault; `ahead_s` is the sound that a server sends at once to a new listener.
        """
        messages = self.daemon.messages
        offline = self.wait(source, "availability", lambda body: not body["online"], since=fault_at)
        online = self.wait(source, "availability", lambda body: body["online"], since=offline.at)
        segment = self.wait(source, "segment", since=online.at)
        if offline.at - fault_at > OFFLINE_WITHIN_S:
            raise CheckFailed(f"offline {offline.at - fault_at:.1f} s after the fault, more than {OFFLINE_WITHIN_S:g}")
        for state in messages.of(source, "state", since=offline.at, until=online.at):
            if state.body["reason"] not in ("stalled", None):
                raise CheckFailed(f"the reason of the gap's state is {state.body['reason']!r}")
        self._check_no_label_for_the_gap(source, offline, online, segment, ahead_s)
        lost_s = self.daemon.lost_s(source)
        if lost_s <= 0:
            raise CheckFailed("no lost sound was counted")
        restarted = [entry["at"] for entry in self.journal(source, "sound") if entry["at"] > fault_at]
        return Outcome(
            seen=f"{how}, offline after {offline.at - fault_at:.1f} s",
            recovered_s=online.at - fault_at,
            lost_s=lost_s,
            really_lost_s=restarted[0] - fault_at if restarted else None,
        )

    def never_online(self, source: str, *, why: str = "", restarts: int = 3) -> Outcome:
        """Follow a source that cannot sound; CheckFailed unless it is retried and published offline once."""
        offline = self.wait(source, "availability", lambda body: not body["online"])
        if self.daemon.broker:
            self.wait("", "health", lambda body: body["sources"][source]["restarts"] >= restarts)
        self.wait(source, "state", lambda body: body["reason"] == "stalled")
        if self.daemon.messages.of(source, "segment"):
            raise CheckFailed("a segment was classified")
        self.check_availability_count(source, 0.0, at_most=1)
        lines = [line for line in [*self.daemon.printed, *self.daemon.stderr_lines] if source in line]
        if not any(why in line for line in lines):
            raise CheckFailed(f"no line with {why!r}: {lines[:3]}")
        found = self.daemon.source_health(source).get("restarts")
        after_s = offline.at - self.daemon.started
        return Outcome(seen=f"{why or 'offline'} after {after_s:.1f} s, published once, {found} restarts")

    def check_no_label_across(
        self, source: str, resumed_at: float, *, paused_s: float, ahead_s: float = 0.0
    ) -> Outcome:
        """Check that a pause is a gap: counted, and the next segment holds sound from after it only."""
        segment = self.wait(source, "segment", since=resumed_at + ahead_s + SLACK_S)
        if segment.at - resumed_at < self.front_end.segment_s - ahead_s - 2 * SLACK_S:
            raise CheckFailed(f"a segment only {segment.at - resumed_at:.1f} s after the pause spans it")
        lost_s = self.daemon.lost_s(source)
        if not max(SLACK_S, paused_s - ahead_s - 3 * SLACK_S) < lost_s < paused_s + 3 * SLACK_S:
            raise CheckFailed(f"{lost_s:.1f} s are counted as lost")
        return Outcome(seen="a gap", lost_s=lost_s, really_lost_s=paused_s)

    def _check_no_label_for_the_gap(
        self, source: str, offline: Message, online: Message, after: Message, ahead_s: float
    ) -> None:
        """Check that the first segment after the gap holds no sound from before: it comes a whole segment later."""
        inside = self.daemon.messages.of(source, "segment", since=offline.at + SLACK_S, until=online.at)
        if inside:
            raise CheckFailed("a segment was classified while no sound arrived")
        before = self.daemon.messages.of(source, "segment", until=offline.at + SLACK_S)
        if before and after.body["start_s"] < before[-1].body["end_s"]:
            raise CheckFailed("a segment spans the gap")
        if after.at - online.at < self.front_end.segment_s - ahead_s - 2 * SLACK_S:
            raise CheckFailed(
                f"a segment only {after.at - online.at:.1f} s after the gap, it cannot hold new sound only"
            )

    def check_availability_count(self, source: str, since: float, *, at_most: int) -> None:
        """Raise CheckFailed when a source's availability was published more than `at_most` times since then."""
        count = len(self.daemon.messages.of(source, "availability", since=since))
        if count > at_most:
            raise CheckFailed(f"availability published {count} times")

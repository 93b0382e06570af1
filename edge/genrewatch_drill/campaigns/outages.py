"""`genrewatch drill --outages N`: the broker of a daemon is dead for a while, N times.

Afterwards every spell must have arrived once, in order and at the configured rate; no expired or overtaken state may
have been published; and the history must add up, to the second, to the sound that the players have written.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from genrewatch.audio.decoding import read_samples
from genrewatch_drill.campaigns.outage_checks import health_s, kept_s, stale_messages, too_fast, wrongly_marked
from genrewatch_drill.campaigns.report import Numbers, Report
from genrewatch_drill.rig.audit import Audit, audit
from genrewatch_drill.rig.daemon import NODE, DaemonConfig, DaemonExit, DaemonProcess
from genrewatch_drill.rig.delivery import deliver_outbox
from genrewatch_drill.rig.killable_broker import KillableBroker
from genrewatch_drill.rig.player import command_uri, player_command, read_tally
from genrewatch_drill.rig.snapshot import snapshot
from genrewatch_drill.rig.sounds import RATE, Sounds, s16
from genrewatch_drill.servers.programs import find_program

SOURCES = 3
SPEED = 4.0
BACKFILL_PER_S = 5.0
HEARTBEAT_S, EXPIRE_S = 2, 6
BETWEEN_S = 10.0
"""Time before the first outage and after each; shorter for short outages."""
FROZEN_S = 2.0
"""Time for which the broker hangs before each outage; what is published then is lost."""
CAUGHT_UP_S = 90.0
TOLERANCE_S = 1.0
EXIT_S = 60.0

OnProgress = Callable[[str], None]


class OutageDrill:
    """One run of the campaign."""

    def __init__(self, directory: Path, broker: KillableBroker, audio: Sequence[Path]) -> None:
        """`audio` are audio files to play; without any, the sources play the demo programme in shuffled parts."""
        self._directory, self._broker = directory, broker
        self._end_file = directory / "end"
        self.undelivered = 0
        """Records that were not received in time after the last outage."""
        self._sounds = Sounds(directory / "sounds")
        self.names = [f"player{number}" for number in range(SOURCES)]
        self._config = DaemonConfig(
            sources=[self._table(name, self._sound(number, audio)) for number, name in enumerate(self.names)],
            vote={"segments": 3},
            mqtt={"heartbeat_s": HEARTBEAT_S, "expire_after_s": EXPIRE_S},
            history={"save_s": 2, "backfill_per_s": BACKFILL_PER_S},
            every_second=False,
            health_s=1,
        )

    @property
    def state(self) -> Path:
        """The daemon's state directory."""
        return self._directory / "daemon" / "state"

    def play(self, outages: int, outage_s: float, on_progress: OnProgress) -> DaemonExit:
        """Run the daemon through the outages until all sources have ended, and with them the daemon."""
        with DaemonProcess(self._directory / "daemon", self._config, url=self._broker.url) as daemon:
            daemon.wait_until_listening()
            between_s = min(BETWEEN_S, 2 * outage_s)
            time.sleep(between_s)
            for number in range(1, outages + 1):
                self._broker.kill(frozen_s=min(FROZEN_S, outage_s / 2))
                time.sleep(outage_s)
                self._broker.start()
                took_s = self._catch_up()
                on_progress(f"  outage {number} of {outage_s:g} s, all delivered {took_s:.0f} s after it")
                time.sleep(between_s)
                daemon.check_alive()
            seqs = {record.seq for record in list(self._broker.collector.records)}
            self.undelivered = max(seqs, default=0) - len(seqs)
            self._end_file.touch()
            ended = daemon.wait_for_exit(EXIT_S)
        deliver_outbox(self.state, NODE, self._broker.url)
        return ended

    def written_s(self, name: str) -> float:
        """Return the seconds of sound that a player has written."""
        return read_tally(self._directory / f"{name}.tally")[0][1]

    def _catch_up(self) -> float:
        """Wait until the records of the outage are delivered; return the seconds."""
        back, collector = time.monotonic(), self._broker.collector
        deadline = back + CAUGHT_UP_S
        while time.monotonic() < deadline:
            time.sleep(0.5)
            health = [message for message in list(collector.messages) if message.kind == "health" and message.at > back]
            if health and health[-1].body["history"]["waiting"] <= len(self.names):
                break
        return time.monotonic() - back

    def _sound(self, number: int, audio: Sequence[Path]) -> Path:
        """Return a file with the audio in a different order for each source, as s16le."""
        if not audio:
            return self._sounds.medley_file(number)
        rotated = [*audio[number % len(audio) :], *audio[: number % len(audio)]]
        path = self._directory / f"audio-{number}.s16"
        path.write_bytes(b"".join(s16(read_samples(file, RATE)) for file in rotated))
        return path

    def _table(self, name: str, sound: Path) -> dict[str, str]:
        script = f"tally={self._directory / name}.tally fast={SPEED:g} until={self._end_file} die"
        command = player_command(self._directory / f"{name}.journal", sound, script)
        return {"id": name, "uri": command_uri(command, f"rate={RATE}&restart=never")}


@dataclass(frozen=True, kw_only=True)
class _Findings:
    """Counts of one run."""

    audit: Audit
    chain_problem: str | None
    backfilled: int
    too_fast: int
    marked_wrongly: int
    undelivered: int
    states_and_events: int
    stale: list[str]
    written_s: float
    difference_s: float
    """The largest difference of a source between written and kept sound."""

    def numbers(self) -> Numbers:
        """Return the rows of the table."""
        return {
            **self.audit.numbers(),
            "chain whole": "no" if self.chain_problem else "yes",
            "back-filled": self.backfilled,
            "back-filled too fast": self.too_fast,
            "marked wrongly": self.marked_wrongly,
            "passed over": self.undelivered,
            "states and events received": self.states_and_events,
            "of these stale": len(self.stale),
            "written, all sources": f"{self.written_s:.1f} s",
            "kept apart from written": f"{self.difference_s:.3f} s at most, of a source",
        }

    def problems(self) -> list[str]:
        """Return the broken promises."""
        problems = [*self.audit.problems, *self.stale[:3], *([self.chain_problem] if self.chain_problem else [])]
        problems += [f"{self.too_fast} records back-filled too fast"] if self.too_fast else []
        problems += [f"{self.undelivered} records not delivered in time"] if self.undelivered else []
        problems += [f"{self.marked_wrongly} records marked wrongly"] if self.marked_wrongly else []
        if self.difference_s > TOLERANCE_S:
            problems.append(f"the history differs by {self.difference_s:.1f} s from what was written")
        return problems


def outage_drill(
    directory: Path,
    outages: int,
    *,
    outage_s: float,
    audio: Sequence[Path] = (),
    on_progress: OnProgress = lambda line: None,
) -> Report:
    """Play the outages, check and report; leaves no process."""
    sound = f"{len(audio)} clips" if audio else "the demo programme"
    title = (
        f"the broker dead {outages} times for {outage_s:g} s, {SOURCES} sources of {sound} at {SPEED:g} times real time"
    )
    if not find_program("mosquitto"):
        return Report(name="outages", title=title, skipped="mosquitto is not installed")
    began = time.monotonic()
    with KillableBroker(directory / "broker") as broker:
        drill = OutageDrill(directory, broker, audio)
        ended = drill.play(outages, outage_s, on_progress)
        findings = _findings(drill, broker)
    numbers: Numbers = {
        "outages": ", ".join(f"{back - killed:.0f} s" for killed, back in broker.outages),
        **findings.numbers(),
        "seconds": round(time.monotonic() - began),
    }
    problems = findings.problems() + ([f"exit code {ended.code}"] if ended.code != 0 else [])
    return Report(name="outages", title=title, numbers=numbers, problems=problems)


def _findings(drill: OutageDrill, broker: KillableBroker) -> _Findings:
    now, records, messages = snapshot(drill.state, NODE), broker.collector.records, broker.collector.messages
    written = {name: drill.written_s(name) for name in drill.names}
    sums = kept_s(now.texts.values()), health_s(messages)
    return _Findings(
        audit=audit(now.texts, records, broker.acknowledgements.of(NODE)),
        chain_problem=now.problem,
        backfilled=sum(record.backfilled for record in records),
        too_fast=too_fast(records, BACKFILL_PER_S),
        marked_wrongly=wrongly_marked(records, broker.outages),
        undelivered=drill.undelivered,
        states_and_events=sum(message.kind in ("state", "event") for message in messages),
        stale=stale_messages(messages, EXPIRE_S),
        written_s=sum(written.values()),
        difference_s=max(abs(seconds - by.get(name, 0.0)) for name, seconds in written.items() for by in sums),
    )

"""`genrewatch drill --kills N`: the daemon is killed N times at random moments, the broker at random moments too.

After each kill the database must open, be whole and hold every record that it held before or that the subscriber has
received. At the end every record must have arrived, in order, under one `seq`; see `rig.audit`.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import mean

from genrewatch.contract.errors import GenrewatchError
from genrewatch.history.database import database_path
from genrewatch.history.reader import HistoryReader
from genrewatch_drill.campaigns.broker_killer import BrokerKiller
from genrewatch_drill.campaigns.kill_checks import KillChecks, losses_s
from genrewatch_drill.campaigns.killed_daemon import MOMENTS, SAVE_S, SPEED, WEIGHTS, KilledDaemon, wait_for_moment
from genrewatch_drill.campaigns.report import Numbers, Report
from genrewatch_drill.rig.audit import Audit, audit
from genrewatch_drill.rig.daemon import NODE
from genrewatch_drill.rig.delivery import deliver_outbox
from genrewatch_drill.rig.killable_broker import KillableBroker
from genrewatch_drill.rig.snapshot import snapshot
from genrewatch_drill.rig.sounds import Sounds
from genrewatch_drill.servers.programs import find_program

SOURCES = 6
DELIVERY_S = 60.0
FINAL_STARTS = 3
PROGRESS_EVERY = 10
UNCLASSIFIED_S = 14.0
"""Sound written but not yet classified in normal operation: a segment, a hop, a pipe and a block."""
BUSY_S = 4.0
"""Additional delay on a busy machine."""
MEAN_LOSS_S = SAVE_S + UNCLASSIFIED_S / SPEED
LARGEST_LOSS_S = MEAN_LOSS_S + BUSY_S

OnProgress = Callable[[str], None]


class KillDrill:
    """One run of the campaign, in an empty directory."""

    def __init__(self, directory: Path, broker: KillableBroker, seed: int) -> None:
        self._broker, self._rng = broker, random.Random(seed)
        self.daemon = KilledDaemon(directory / "daemon", Sounds(directory / "sounds"), broker.url, sources=SOURCES)
        self.broker_killer = BrokerKiller(broker, random.Random(seed + 1))
        self.checks, self.moments = KillChecks(), Counter[str]()

    def play(self, kills: int, on_progress: OnProgress) -> None:
        """Kill the daemon `kills` times, then let it deliver its outbox."""
        began = time.monotonic()
        with self.broker_killer:
            start_s = self._first_start()
            for number in range(1, kills + 1):
                self._kill_once(start_s)
                if number % PROGRESS_EVERY == 0 or number == kills:
                    on_progress(f"{self._progress(number)}, {time.monotonic() - began:.0f} s")
        self._broker.start()
        for _ in range(FINAL_STARTS):
            if self._deliver():
                break
        deliver_outbox(self.daemon.state, NODE, self._broker.url)
        self._check()

    def audit(self) -> Audit:
        """Return the counts of the records."""
        return audit(self.checks.newest.texts, self._broker.collector.records, self._broker.acknowledgements.of(NODE))

    def losses_s(self) -> tuple[float, float]:
        """Return (largest loss by a kill, mean loss of the worst source) in real time, seconds.

        The sound is written faster than real time, hence the division.
        """
        written = {
            (source, number): self.daemon.written_s(source, lifetime)
            for source in self.daemon.names
            for number, lifetime in enumerate(self.daemon.lifetimes)
        }
        losses = losses_s(self.checks.newest.texts.values(), written, self.daemon.lifetimes).values()
        return max(map(max, losses), default=0.0) / SPEED, max(map(mean, losses), default=0.0) / SPEED

    def _first_start(self) -> float:
        """Return the seconds that a daemon needs to start; it is killed too."""
        daemon = self.daemon.start()
        daemon.wait_until_listening()
        start_s = time.monotonic() - daemon.started
        self.daemon.on_ended(daemon, daemon.kill())
        return start_s

    def _kill_once(self, start_s: float) -> None:
        moment = self._rng.choices(MOMENTS, WEIGHTS)[0]
        daemon = self.daemon.start()
        wait_for_moment(moment, daemon, self.daemon.state, self._broker.collector, self._rng, start_s)
        if daemon.process.poll() is not None:
            code = daemon.process.returncode
            raise GenrewatchError("the daemon under test", f"ended by itself with code {code}: {daemon.last_line}")
        received = [(record.seq, record.text) for record in list(self._broker.collector.records)]
        self.daemon.on_ended(daemon, daemon.kill())
        self.moments[moment] += 1
        self._check(received)
        self.broker_killer.on_daemon_killed()

    def _check(self, received: list[tuple[int, str]] | None = None) -> None:
        self.checks.add(snapshot(self.daemon.state, NODE), received or [], self._broker.acknowledgements.of(NODE))

    def _deliver(self) -> bool:
        """Run a daemon on silence until its outbox is empty, and stop it; return whether everything is delivered."""
        daemon = self.daemon.start(silent=True)
        daemon.wait_until_listening()
        deadline = time.monotonic() + DELIVERY_S
        while self._outbox_size() and time.monotonic() < deadline:
            time.sleep(0.2)
        self.daemon.on_ended(daemon, daemon.stop().orphans)
        return not snapshot(self.daemon.state, NODE).outbox

    def _outbox_size(self) -> int:
        reader = HistoryReader(database_path(self.daemon.state, NODE))
        try:
            size: int = reader.db.execute("SELECT count(*) FROM outbox").fetchone()[0]
        finally:
            reader.close()
        return size

    def _progress(self, number: int) -> str:
        stored, received = len(self.checks.newest.texts), len(self._broker.collector.records)
        return (
            f"  {number} kills of the daemon, {self.broker_killer.kills} of the broker, {stored} records stored, "
            f"{received} received, {self.checks.whole} databases whole"
        )


def kill_drill(directory: Path, kills: int, *, seed: int = 0, on_progress: OnProgress = lambda line: None) -> Report:
    """Kill, check and report; leaves no process."""
    title = f"the daemon killed {kills} times at random moments, the broker beside it (seed {seed})"
    if not find_program("mosquitto"):
        return Report(name="kills", title=title, skipped="mosquitto is not installed")
    began = time.monotonic()
    with KillableBroker(directory / "broker") as broker:
        drill = KillDrill(directory, broker, seed)
        drill.play(kills, on_progress)
        found, losses = drill.audit(), drill.losses_s()
    seconds = round(time.monotonic() - began)
    numbers = {"kills of the daemon": kills, **_numbers(drill, found, losses), "seconds": seconds}
    return Report(name="kills", title=title, numbers=numbers, problems=_problems(drill, found, losses))


def _orphans(drill: KillDrill) -> list[str]:
    return [orphan for lifetime in drill.daemon.lifetimes for orphan in lifetime.orphans]


def _numbers(drill: KillDrill, found: Audit, losses: tuple[float, float]) -> Numbers:
    checks, (largest_s, mean_s) = drill.checks, losses
    return {
        "moments": ", ".join(f"{drill.moments[moment]} {moment}" for moment in MOMENTS),
        "kills of the broker": drill.broker_killer.kills,
        **found.numbers(),
        "out of the outbox without a PUBACK": checks.unacknowledged,
        "vanished after a kill": checks.vanished,
        "database whole after a kill": f"{checks.whole} of {checks.whole + len(checks.broken)}",
        "processes that outlived the daemon": len(_orphans(drill)),
        "largest loss of an open spell": f"{largest_s:.2f} s (at most {LARGEST_LOSS_S:.1f})",
        "mean of the worst source": f"{mean_s:.2f} s (at most {MEAN_LOSS_S:.1f})",
    }


def _problems(drill: KillDrill, found: Audit, losses: tuple[float, float]) -> list[str]:
    orphans, (largest_s, mean_s) = _orphans(drill), losses
    tracebacks = sum(lifetime.tracebacks for lifetime in drill.daemon.lifetimes)
    problems = [*found.problems, *drill.checks.problems]
    problems += [drill.broker_killer.problem] if drill.broker_killer.problem else []
    problems += [f"{len(orphans)} processes outlived the daemon: {orphans[0]}"] if orphans else []
    problems += [f"{tracebacks} tracebacks"] if tracebacks else []
    if mean_s > MEAN_LOSS_S:
        problems.append(f"{mean_s:.1f} s of open spells lost by a kill on average, more than {MEAN_LOSS_S:.1f}")
    if largest_s > LARGEST_LOSS_S:
        problems.append(f"{largest_s:.1f} s of an open spell lost")
    return problems

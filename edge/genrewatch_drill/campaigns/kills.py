"""`genrewatch drill --kills N`: the daemon is killed N times at random moments, the broker at random beside it.

After each kill the database must open and be whole, and hold all that it held before and all that anybody has
received; at the end every record must have arrived, in order, under one `seq`. `ledger` says what is counted.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import mean

from genrewatch.contract.errors import SourceError
from genrewatch.history.database import database_path
from genrewatch.history.reader import HistoryReader
from genrewatch_drill.campaigns.broker_killer import BrokerKiller
from genrewatch_drill.campaigns.finding import Figures, Finding
from genrewatch_drill.campaigns.kill_checks import KillChecks, losses_s
from genrewatch_drill.campaigns.victim import MOMENTS, SAVE_S, SPEED, WEIGHTS, Victim, await_moment
from genrewatch_drill.rig.broker import NODE, find_program
from genrewatch_drill.rig.exchange import Exchange
from genrewatch_drill.rig.ledger import Audit, audit
from genrewatch_drill.rig.rest import deliver_rest
from genrewatch_drill.rig.snapshot import snapshot
from genrewatch_drill.rig.sounds import Sounds

SOURCES = 6
CALM_S = 60.0
TELL_EVERY = 10
UNJUDGED_S = 14.0
"""Sound that is fed but not yet judged though nothing is late: a segment, a hop, what a pipe and a block hold."""
BUSY_S = 4.0
"""Of a machine that has other things to do."""

Tell = Callable[[str], None]


class KillDrill:
    """One run of it; in a directory that is empty at first."""

    def __init__(self, directory: Path, exchange: Exchange, seed: int) -> None:
        self._exchange, self._rng = exchange, random.Random(seed)
        self.victim = Victim(directory / "daemon", Sounds(directory / "sounds"), exchange.url, sources=SOURCES)
        self.killer = BrokerKiller(exchange, random.Random(seed + 1))
        self.checks, self.moments = KillChecks(), Counter[str]()

    def play(self, kills: int, tell: Tell) -> None:
        """All the kills, and then the time to deliver what is left."""
        began = time.monotonic()
        with self.killer:
            start_s = self._first_start()
            for number in range(1, kills + 1):
                self._kill_once(start_s)
                if number % TELL_EVERY == 0 or number == kills:
                    tell(f"{self._progress(number)}, {time.monotonic() - began:.0f} s")
        self._exchange.start()
        for calm in range(3):
            if self._calm_life() or calm == 2:
                break
        deliver_rest(self.victim.state, NODE, self._exchange.url)
        self._check()

    def audit(self) -> Audit:
        """What became of the records."""
        return audit(self.checks.newest.texts, self._exchange.collector.receipts, self._acknowledged())

    def losses_s(self) -> tuple[float, float]:
        """(the most that a kill has cost, what it cost on average for the source that fared worst), in real time: the
        sound is fed faster than it would sound."""
        victim = self.victim
        written = {
            (source, number): victim.written_s(source, life)
            for source in victim.names
            for number, life in enumerate(victim.lives)
        }
        losses = losses_s(self.checks.newest.texts.values(), written, victim.lives).values()
        return max(map(max, losses), default=0.0) / SPEED, max(map(mean, losses), default=0.0) / SPEED

    def _first_start(self) -> float:
        """How long a daemon needs to start here; this one is killed too."""
        subject = self.victim.start()
        subject.until_listening()
        start_s = time.monotonic() - subject.started
        self.victim.ended(subject, subject.kill())
        return start_s

    def _kill_once(self, start_s: float) -> None:
        moment = self._rng.choices(MOMENTS, WEIGHTS)[0]
        subject = self.victim.start()
        await_moment(moment, subject, self.victim.state, self._exchange.collector, self._rng, start_s)
        if subject.process.poll() is not None:
            last = subject.complained[-1] if subject.complained else "without a word"
            raise SourceError(
                "the daemon under test", f"ended by itself with code {subject.process.returncode}: {last}"
            )
        received = [(receipt.seq, receipt.text) for receipt in list(self._exchange.collector.receipts)]
        self.victim.ended(subject, subject.kill())
        self.moments[moment] += 1
        self._check(received)
        self.killer.daemon_was_killed()

    def _check(self, received: list[tuple[int, str]] | None = None) -> None:
        self.checks.add(snapshot(self.victim.state, NODE), received or [], self._acknowledged())

    def _acknowledged(self) -> set[int]:
        return {seq for _, seq in self._exchange.gate.accepted()}

    def _calm_life(self) -> bool:
        """A daemon that hears silence delivers what there is, and ends as it should; whether all was delivered."""
        subject = self.victim.start(calm=True)
        subject.until_listening()
        deadline = time.monotonic() + CALM_S
        while self._waiting() and time.monotonic() < deadline:
            time.sleep(0.2)
        farewell = subject.end()
        self.victim.ended(subject, farewell.left)
        return not snapshot(self.victim.state, NODE).outbox

    def _waiting(self) -> int:
        """Records in the outbox of the daemon that runs."""
        log = HistoryReader(database_path(self.victim.state, NODE))
        try:
            waiting: int = log.db.execute("SELECT count(*) FROM outbox").fetchone()[0]
        finally:
            log.close()
        return waiting

    def _progress(self, number: int) -> str:
        stored, received = len(self.checks.newest.texts), len(self._exchange.collector.receipts)
        return (
            f"  {number} kills of the daemon, {self.killer.kills} of the broker, {stored} records stored, "
            f"{received} received, {self.checks.whole} times whole"
        )


def kill_drill(directory: Path, kills: int, *, seed: int = 0, tell: Tell = lambda line: None) -> Finding:
    """Kills and checks; nothing stays running."""
    title = f"the daemon killed {kills} times at random moments, the broker beside it (seed {seed})"
    if not find_program("mosquitto"):
        return Finding(name="kills", title=title, skipped="mosquitto is not installed")
    began = time.monotonic()
    with Exchange(directory / "broker") as exchange:
        drill = KillDrill(directory, exchange, seed)
        drill.play(kills, tell)
        found, (most_s, mean_s) = drill.audit(), drill.losses_s()
    bound_s = SAVE_S + UNJUDGED_S / SPEED
    checks, lives = drill.checks, drill.victim.lives
    left, tracebacks = [words for life in lives for words in life.left], sum(life.tracebacks for life in lives)
    wrong = [*found.wrong, *checks.wrong, *([drill.killer.wrong] if drill.killer.wrong else [])]
    wrong += [f"{len(left)} processes outlived the daemon: {left[0]}"] if left else []
    wrong += [f"{tracebacks} tracebacks"] if tracebacks else []
    wrong += [f"{mean_s:.1f} s of open spells lost by a kill, more than {bound_s:.1f}"] if mean_s > bound_s else []
    wrong += [f"{most_s:.1f} s of an open spell lost"] if most_s > bound_s + BUSY_S else []
    when = ", ".join(f"{drill.moments[moment]} {moment}" for moment in MOMENTS)
    figures: Figures = {
        "kills of the daemon": kills,
        "moments": when,
        "kills of the broker": drill.killer.kills,
        **found.figures(),
        "struck without a receipt": checks.early,
        "vanished after a kill": checks.vanished,
        "database whole after a kill": f"{checks.whole} of {checks.whole + len(checks.broken)}",
        "processes that outlived the daemon": len(left),
        "longest loss of an open spell": f"{most_s:.2f} s (at most {bound_s + BUSY_S:.1f})",
        "mean of the worst source": f"{mean_s:.2f} s (at most {bound_s:.1f})",
        "seconds": round(time.monotonic() - began),
    }
    return Finding(name="kills", title=title, figures=figures, wrong=wrong)

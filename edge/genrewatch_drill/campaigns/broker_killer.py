"""Kills the broker at random moments, about once per three kills of the daemon, and restarts it.

Before every second kill the broker hangs. Most restarts follow within seconds; some only after the daemon has been
killed several times.
"""

import random
import threading

from genrewatch_drill.rig.killable_broker import KillableBroker

DAEMON_KILLS_BETWEEN = (1, 5)
"""Kills of the daemon between two kills of the broker."""
AWAY_S = (0.1, 2.0)
FROZEN_SHARE, FROZEN_S = 0.5, (0.3, 2.0)
LONG_SHARE, DAEMON_KILLS_WHILE_AWAY = 0.25, (2, 4)


class BrokerKiller:
    """A thread, and a context manager that stops it; the broker may be dead afterwards."""

    def __init__(self, broker: KillableBroker, rng: random.Random) -> None:
        self._broker, self._rng = broker, rng
        self.kills = 0
        self.problem: str | None = None
        """The exception that ended the thread."""
        self._daemon_kills, self._stopping = 0, False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="broker killer", daemon=True)

    def on_daemon_killed(self) -> None:
        """Count a kill of the daemon."""
        with self._changed:
            self._daemon_kills += 1
            self._changed.notify_all()

    def __enter__(self) -> "BrokerKiller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._await_daemons(self._rng.randint(*DAEMON_KILLS_BETWEEN)) and self._pause(
                self._rng.uniform(0, 2.0)
            ):
                frozen_s = self._rng.uniform(*FROZEN_S) if self._rng.random() < FROZEN_SHARE else 0.0
                self._broker.kill(frozen_s=frozen_s, outward=self._rng.random() < 0.5)
                self.kills += 1
                if self._rng.random() < LONG_SHARE:
                    self._await_daemons(self._rng.randint(*DAEMON_KILLS_WHILE_AWAY))
                self._pause(self._rng.uniform(*AWAY_S))
                self._broker.start()
        except Exception as exc:  # a defect of the drill itself, which the drill reports
            self.problem = repr(exc)

    def _await_daemons(self, count: int) -> bool:
        """Wait for `count` more kills of the daemon; False when the campaign is over."""
        with self._changed:
            target = self._daemon_kills + count
            self._changed.wait_for(lambda: self._daemon_kills >= target or self._stopping)
            return not self._stopping

    def _pause(self, seconds: float) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds)
            return not self._stopping

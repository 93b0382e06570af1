"""A Mosquitto that is killed and restarted; the drill's subscriber always connects before the nodes may.

The broker keeps nothing on disk, so it restarts with an empty store. It hands each message on at once (no limit of
messages in flight), before it acknowledges it: the subscriber has received all that is acknowledged. A restarted broker
acknowledges and drops what arrives while nothing is subscribed, hence the proxy, which is open only after the
subscription.
"""

import threading
import time
from pathlib import Path

from genrewatch_drill.rig.acknowledgements import Acknowledgements
from genrewatch_drill.rig.collector import Collector
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.proxy import Proxy

LINES = (
    "allow_anonymous true",
    "max_inflight_messages 0",
    "max_queued_messages 0",
    "log_type error",
    "log_type warning",
)
DRAIN_S = 1.0


class KillableBroker:
    """Broker, subscriber and proxy; a context manager that stops all three."""

    def __init__(self, directory: Path) -> None:
        self._mosquitto = Mosquitto(directory, lines=LINES, verbose=False)
        self._lock = threading.Lock()
        self.collector, self.acknowledgements = Collector(), Acknowledgements()
        self.proxy = Proxy(self.acknowledgements.tap)
        self.outages: list[tuple[float, float]] = []
        """(killed, open again) of each outage, on the monotonic clock."""
        self._killed_at = 0.0

    @property
    def url(self) -> str:
        """The address that nodes are configured with."""
        return self.proxy.url

    @property
    def port(self) -> int:
        """The port of the broker itself, past the proxy."""
        return self._mosquitto.port

    @property
    def pid(self) -> int | None:
        """The broker's process id, None while it does not run."""
        return self._mosquitto.pid

    def start(self) -> None:
        """Start the broker, subscribe, then open the proxy."""
        with self._lock:
            if self.pid is not None:
                return
            self._mosquitto.start()
            self.collector.connect(self.port)
            self.proxy.open(self.port)
            if self._killed_at:
                self.outages.append((self._killed_at, time.monotonic()))

    def kill(self, *, frozen_s: float = 0.0, outward: bool = True) -> None:
        """Send SIGKILL; for `frozen_s` before that, nothing from the broker passes, nor (`outward`) from the nodes."""
        with self._lock:
            if self.pid is None:
                return
            self._killed_at = time.monotonic()
            if frozen_s:
                self.proxy.freeze(to_server=outward)
                time.sleep(frozen_s)
            self._mosquitto.kill()
            self.proxy.close(drain_s=DRAIN_S)
            self.collector.disconnect(broker_gone=True)

    def __enter__(self) -> "KillableBroker":
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.proxy.__exit__(*exc_info)
        with self._lock:
            self.collector.disconnect()
            self._mosquitto.kill()

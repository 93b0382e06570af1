"""The diagnostics of a node, as the `health` payload has them."""

import resource
import time
from collections.abc import Callable, Mapping
from typing import Any

from genrewatch import __version__
from genrewatch.contract.payload import rounded
from genrewatch.daemon.sink_group import SinkGroup
from genrewatch.daemon.source_state import SourceState, mix_problem
from genrewatch.host.machine import cpu_temperature_c
from genrewatch.host.strain import strain_problems, written_mb
from genrewatch.host.times import StartTime


class Health:
    """Collects diagnostics from the sources, the sinks and the machine."""

    def __init__(
        self,
        states: Callable[[], Mapping[str, SourceState]],
        sinks: SinkGroup,
        daemon_problems: Callable[[], list[str]],
    ) -> None:
        """`states` returns those of the present sources, `daemon_problems` the problems of the main loop."""
        self._present, self._sinks, self._daemon_problems = states, sinks, daemon_problems
        self._started, self._start_time = time.monotonic(), StartTime()
        self.refused_bundle: Callable[[], str | None] = lambda: None
        """Returns why the last command that changes the bundle was refused."""

    def collect(self) -> dict[str, Any]:
        """Return the diagnostics; the schema is `health.schema.json`."""
        uptime_s = time.monotonic() - self._started
        used, states = resource.getrusage(resource.RUSAGE_SELF), list(self._states.values())
        cpu_s = used.ru_utime + used.ru_stime
        heard_s = sum(state.heard_s for state in states)
        model = states[0].pipeline.manifest if states else None
        return {
            "version": __version__,
            "model": {"name": model.name, "version": model.version} if model else None,
            "bundle_refused": self.refused_bundle(),
            "uptime_s": round(uptime_s, 1),
            "started": self._start_time.text(uptime_s),
            "cpu_s": round(cpu_s, 2),
            "cpu_temperature_c": cpu_temperature_c(),
            "real_time_factor": rounded(heard_s / cpu_s if cpu_s else None, 1),
            "peak_rss_mb": round(used.ru_maxrss / 1024, 1),
            "written_mb": written_mb(),
            "segments": sum(state.segments for state in states),
            "lost_s": round(sum(state.lost_s for state in states), 3),
            "degraded": [
                *self._daemon_problems(),
                *self._thread_problems(),
                *self._slow_sources(),
                *self._channel_problems(),
                *strain_problems(),
                *self._sinks.problems(),
            ],
            **self._sinks.diagnostics(),
            "sources": {source_id: state.health() for source_id, state in self._states.items()},
        }

    @property
    def _states(self) -> Mapping[str, SourceState]:
        return self._present()

    def _channel_problems(self) -> list[str]:
        problems = {source_id: mix_problem(state.mix) for source_id, state in self._states.items() if state.online}
        return [f"{source_id}: {problem}" for source_id, problem in problems.items() if problem]

    def _thread_problems(self) -> list[str]:
        return [problem for state in self._states.values() for problem in state.thread_problems()]

    def _slow_sources(self) -> list[str]:
        return [
            f"{source_id}: this machine is too slow, only every {state.hop_factor}th segment is classified"
            for source_id, state in self._states.items()
            if state.hop_factor > 1
        ]

"""The sinks that print on stdout: a readable line for each change, or a JSON line for each segment."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from genrewatch.contract.vote import Verdict
from genrewatch.host.line_writer import LineWriter
from genrewatch.host.times import rfc3339, utc_now
from genrewatch.inference.json_fields import result_fields
from genrewatch.inference.pipeline import SegmentResult
from genrewatch.sinks.sink import Sink
from genrewatch.sources.source import NO_SOUND_YET, NowPlaying

WAITING = "waiting"


class ChangePrinter(Sink):
    """Prints `12:03:05  mic   rock        78 % of 9  confidence 0.64  majority` when genre or reason change."""

    def __init__(self, lines: LineWriter, clock: Callable[[], datetime] = utc_now) -> None:
        self._lines, self._clock = lines, clock
        self._last: dict[str, tuple[object, ...]] = {}

    def on_availability(self, source_id: str, online: bool, why: str) -> None:
        """See `Sink`."""
        word = "online" if online else "offline"
        if why:  # the reason why there is no sound yet follows
            self._change(source_id, (None, WAITING if why == NO_SOUND_YET else word), f"{word}: {why}")

    def on_stalled(self, source_id: str) -> None:
        """See `Sink`."""
        if self._last.get(source_id) not in ((None, "offline"), (None, WAITING)):  # that line gave the reason
            self._change(source_id, (None, "stalled"), "(stalled)       no sound arrives, which is not silence")

    def on_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """See `Sink`."""
        self._line(f"{self._time()}  {source_id:8}  playing: {playing.title or '-'}  ({playing.station or '-'})")

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """See `Sink`."""
        verdict = result.verdict
        dead_air = "  DEAD AIR" if result.dead_air else ""
        self._change(source_id, (verdict.genre, verdict.reason, result.dead_air), describe(verdict) + dead_air)

    def _change(self, source_id: str, key: tuple[object, ...], text: str) -> None:
        if self._last.get(source_id) != key:
            self._last[source_id] = key
            self._line(f"{self._time()}  {source_id:8}  {text}")

    def _time(self) -> str:
        return self._clock().astimezone().strftime("%H:%M:%S")

    def _line(self, text: str) -> None:
        self._lines.put(text)


class JsonPrinter(Sink):
    """Prints a JSON line for each segment, with the fields of `classify --timeline --json`."""

    def __init__(self, lines: LineWriter, clock: Callable[[], datetime] = utc_now) -> None:
        self._lines, self._clock = lines, clock

    def on_availability(self, source_id: str, online: bool, why: str) -> None:
        """See `Sink`."""
        self._line({"source": source_id, "availability": "online" if online else "offline", "why": why})

    def on_stalled(self, source_id: str) -> None:
        """See `Sink`."""
        self._line({"source": source_id, "genre": None, "reason": "stalled"})

    def on_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """See `Sink`."""
        self._line({"source": source_id, "station": playing.station, "title": playing.title})

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """See `Sink`."""
        self._line({"source": source_id, **result_fields(result)})

    def _line(self, record: dict[str, Any]) -> None:
        stamped = {"ts": rfc3339(self._clock()), **record}
        self._lines.put(json.dumps(stamped, allow_nan=False))


class OutputHealth(Sink):
    """Reports what stdout and stderr drop, and closes stdout at the end."""

    def __init__(self, stdout: LineWriter, stderr: LineWriter) -> None:
        self._stdout, self._stderr = stdout, stderr

    def diagnostics(self) -> dict[str, Any]:
        """See `Sink`."""
        return {"lines_dropped": {"stdout": self._stdout.dropped, "stderr": self._stderr.dropped}}

    def problems(self) -> list[str]:
        """See `Sink`."""
        return [problem for lines in (self._stdout, self._stderr) if (problem := lines.problem())]

    def close(self) -> None:
        """Print the last lines."""
        self._stdout.close()


def describe(verdict: Verdict) -> str:
    """Return a verdict in aligned columns: `rock  78 % of 9  confidence 0.64  majority`."""
    name = verdict.genre or f"({verdict.reason.replace('_', ' ')})"
    share = f"{100 * verdict.share:3.0f} % of {verdict.segments}"
    confidence = "confidence -   " if verdict.confidence is None else f"confidence {verdict.confidence:.2f}"
    votes = " ".join(f"{label} {count}" for label, count in verdict.votes.items())
    return f"{name:14}  {share:>10}  {confidence}  {verdict.reason:11}  votes: {votes}"

"""`genrewatch bench --sources 1,10,100`: the load of live sources on one core, in the real daemon.

Each source is a `cat` that the daemon starts and supervises like any child process; it copies a FIFO into which this
process writes music in real time. Daemon and child processes run on one core, this process on the others. The delay
of a verdict is measured from the write of its segment's last sample to the arrival of its message, or of its JSON line
where Mosquitto is not installed.
"""

import errno
import heapq
import json
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from genrewatch.contract.errors import ConfigError
from genrewatch.daemon.config import ListenConfig
from genrewatch.inference.pipeline import open_pipeline
from genrewatch_drill.rig.daemon import DaemonConfig, DaemonProcess
from genrewatch_drill.rig.processes import children, cpu_s, footprint, main_thread_cpu_s
from genrewatch_drill.rig.sounds import RATE, Sounds

CHUNK_S = 0.1
CHUNK_BYTES = round(2 * RATE * CHUNK_S)
START_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """The load of a number of sources."""

    sources: int
    seconds: float
    """Duration of the measurement, which begins after the first segment of each source."""
    daemon_cpu: float
    """Share of one core that the daemon uses."""
    children_cpu: float
    """Share of one core that its child processes use."""
    rss_mb: float
    """Resident memory of the daemon."""
    threads: int
    descriptors: int
    late_p50_s: float
    late_p95_s: float
    late_max_s: float
    segments: int
    expected: int
    """Segments due in the time."""
    lost_s: float
    """Sound lost as the daemon counts it, all sources together."""
    held_up: int
    """Chunks dropped because their FIFO was full."""


def bench_sources(counts: Sequence[int], *, seconds: float, as_json: bool) -> int:
    """Measure each number of sources and print a row for it; return 1 when verdicts came too late."""
    core = min(os.sched_getaffinity(0))
    config = ListenConfig()
    pipeline = open_pipeline(config.bundle_path, config.vote.apply, config.level)
    hop_s = pipeline.vote.segment_hop / pipeline.manifest.front_end.sample_rate
    if not as_json:
        print(f"daemon and children on core {core}; a verdict is in time within a hop, {hop_s:.2f} s (p95)")
        print("sources  daemon CPU  children   RSS MB  MB/source  late p50    p95    max s  segments  lost s")
    loads: list[Load] = []
    for count in counts:
        load = measure(count, seconds=seconds, core=core, hop_s=hop_s)
        loads.append(load)
        print(json.dumps(asdict(load)) if as_json else _row(load, loads[0]), flush=True)
    return 1 if any(load.late_p95_s > hop_s for load in loads) else 0


def parse_counts(text: str) -> list[int]:
    """Parse `1,10,100`; ConfigError for anything else."""
    numbers = text.split(",")
    if not all(number.isdecimal() and 1 <= int(number) <= 10_000 for number in numbers):
        raise ConfigError("--sources", f"found {text!r}", "numbers from 1 to 10000, such as 1,10,100")
    return [int(number) for number in numbers]


def measure(count: int, *, seconds: float, core: int, hop_s: float) -> Load:
    """Run a daemon with `count` live sources and measure it once each source has had its first segment."""
    with tempfile.TemporaryDirectory(prefix="genrewatch-bench-") as temporary:
        directory = Path(temporary)
        music = Sounds(directory / "sounds").music.read_bytes()
        pipes = {f"s{number}": directory / f"pipe{number}" for number in range(count)}
        for pipe in pipes.values():
            os.mkfifo(pipe)
        tables = [{"id": name, "uri": f"cmd:cat {pipe}?rate={RATE}"} for name, pipe in pipes.items()]
        config = DaemonConfig(sources=tables, every_second=False)
        with DaemonProcess(directory / "daemon", config) as daemon:
            os.sched_setaffinity(daemon.process.pid, {core})
            with Feed(pipes, music) as feed:
                for name in pipes:
                    daemon.messages.wait(name, "segment", within_s=START_S)
                return _load(daemon, feed, list(pipes), seconds, hop_s)


def _load(daemon: DaemonProcess, feed: "Feed", names: list[str], seconds: float, hop_s: float) -> Load:
    pid = daemon.process.pid
    begin, cpu, children_cpu = time.monotonic(), cpu_s(pid), sum(map(main_thread_cpu_s, children(pid)))
    time.sleep(seconds)
    took = time.monotonic() - begin
    used, used_by_children = cpu_s(pid) - cpu, sum(map(main_thread_cpu_s, children(pid))) - children_cpu
    now = footprint(pid)
    delays = [
        segment.at - feed.written_at(name, segment.body["end_s"])
        for name in names
        for segment in daemon.messages.of(name, "segment", since=begin, until=begin + took)
    ]
    late = np.array(delays or [np.inf])
    return Load(
        sources=len(names),
        seconds=round(took, 1),
        daemon_cpu=used / took,
        children_cpu=used_by_children / took,
        rss_mb=now.rss_mb,
        threads=now.threads,
        descriptors=now.descriptors,
        late_p50_s=float(np.percentile(late, 50)),
        late_p95_s=float(np.percentile(late, 95)),
        late_max_s=float(late.max()),
        segments=len(delays),
        expected=round(len(names) * took / hop_s),
        lost_s=sum(daemon.lost_s(name) for name in names),
        held_up=feed.held_up,
    )


class Feed:
    """Writes music into FIFOs in real time, each from the moment that it has a reader."""

    def __init__(self, pipes: dict[str, Path], music: bytes) -> None:
        self._pipes, self._music = pipes, music + music[:CHUNK_BYTES]
        self._loop = len(music)
        self._written: dict[str, list[float]] = {name: [] for name in pipes}
        self._stop = threading.Event()
        self.held_up = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def written_at(self, name: str, end_s: float) -> float:
        """Return when the last sample before `end_s` of a source was written, on the monotonic clock."""
        written = self._written[name]
        return written[min(len(written) - 1, int((end_s - 1 / RATE) / CHUNK_S))]

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due = [(time.monotonic(), name) for name in self._pipes]
        opened: dict[str, int] = {}
        while not self._stop.is_set():
            at, name = due[0]
            if self._stop.wait(max(0.0, at - time.monotonic())):
                break
            if name in opened or self._open(name, opened):
                self._write(name, opened[name])
                heapq.heapreplace(due, (at + CHUNK_S, name))
            else:
                heapq.heapreplace(due, (time.monotonic() + CHUNK_S, name))
        for descriptor in opened.values():
            os.close(descriptor)

    def _open(self, name: str, opened: dict[str, int]) -> bool:
        try:
            opened[name] = os.open(self._pipes[name], os.O_WRONLY | os.O_NONBLOCK)
        except OSError as exc:
            if exc.errno != errno.ENXIO:  # no reader yet
                raise
        return name in opened

    def _write(self, name: str, descriptor: int) -> None:
        at = len(self._written[name]) * CHUNK_BYTES % self._loop
        self._written[name].append(time.monotonic())
        try:
            os.write(descriptor, self._music[at : at + CHUNK_BYTES])
        except BlockingIOError:
            self.held_up += 1


def _row(load: Load, first: Load) -> str:
    more = load.sources - first.sources
    each = f"{(load.rss_mb - first.rss_mb) / more:9.2f}" if more else f"{'-':>9}"
    return (
        f"{load.sources:7}  {100 * load.daemon_cpu:8.1f} %  {100 * load.children_cpu:6.1f} %"
        f"  {load.rss_mb:7.1f}  {each}"
        f"  {load.late_p50_s:8.3f}  {load.late_p95_s:5.3f}  {load.late_max_s:7.3f}"
        f"  {load.segments:4}/{load.expected:<4} {load.lost_s:6.1f}"
    )

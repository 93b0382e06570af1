"""The state of one source while the daemon runs: how much sound was received, and whether it is online."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from genrewatch.audio.bandwidth import is_narrow
from genrewatch.audio.mix import Mix
from genrewatch.audio.pcm import Block
from genrewatch.contract.payload import rounded
from genrewatch.daemon.drift import FarMusic, drift_text, model_key
from genrewatch.host.guarded_thread import GuardedThread
from genrewatch.inference.json_fields import level_fields, mix_fields
from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.sources.source import Source

log = logging.getLogger("genrewatch")


@dataclass(frozen=True, kw_only=True)
class SourceSetup:
    """A source and the pipeline that classifies it."""

    source: Source
    pipeline: Pipeline
    name: str
    """Display name."""
    reopen: Callable[[], Source] | None = None
    """Opens the same source again after it was closed; None where that is impossible."""
    restarts: bool = False
    """True if the source is opened again after a defect; False if it would begin from its start."""


@dataclass(kw_only=True)
class SourceState:
    """One source: its pipeline, its thread and its counters."""

    source: Source
    pipeline: Pipeline
    """Pipeline of the next stream; the current stream ends when it is replaced."""
    reopen: Callable[[], Source] | None
    restarts: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while it is reported that sound arrives, or that none has arrived yet."""
    thread: GuardedThread | None = None
    """Its thread; None before it could be started."""
    online: bool = False
    disabled: bool = False
    """True if a command has switched the source off."""
    segments: int = 0
    heard_s: float = 0.0
    """Seconds of sound received."""
    lost_s: float = 0.0
    newest: SegmentResult | None = None
    mix: Mix | None = None
    """The present way of mixing the channels; None for one channel."""
    offline_reason: str | None = None
    """The reason that was last reported; None while online."""
    leaving: bool = False
    """True once a reload closes the source, because it has left the configuration or is opened again."""
    removed: bool = False
    """True once that is reported; whatever its thread still does is of no interest."""
    failed: bool = False
    """True if the source could not be opened."""
    ended: bool = False
    started_s: float = 0.0
    """Monotonic time of its last start."""
    defective: bool = False
    """True after a defect, until the source is opened again."""
    far: FarMusic = field(default_factory=lambda: FarMusic(""))
    """Share of its music that is unlike what the model was trained on."""
    _before_s: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, setup: SourceSetup) -> "SourceState":
        """Return the state of a source that has not started."""
        return cls(
            source=setup.source,
            pipeline=setup.pipeline,
            reopen=setup.reopen,
            restarts=setup.restarts,
            far=FarMusic(model_key(setup.pipeline)),
        )

    def counted(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the blocks, and add up what is received and lost."""
        for block in blocks:
            self.heard_s += len(block.samples) / block.sample_rate
            self.lost_s += block.lost / block.sample_rate
            self._note_mix(block)
            with self.thread.working() if self.thread else nullcontext():
                yield block

    def _note_mix(self, block: Block) -> None:
        if block.last or block.mix == self.mix:
            return
        before, self.mix = self.mix, block.mix
        problem = mix_problem(block.mix)
        if problem != mix_problem(before):
            log.warning("%s: %s", self.source.id, problem or "the channels are in order again")

    def begin_stream(self) -> Pipeline:
        """Reset `stream_s`; return the pipeline of the stream that begins."""
        self._before_s = self.heard_s, self.lost_s
        if model_key(self.pipeline) != self.far.model:
            self.far = FarMusic(model_key(self.pipeline))
        return self.pipeline

    def take(self, result: SegmentResult) -> None:
        """Count a result; log once that the band of the source is narrow, and when it no longer is."""
        before, self.newest, self.segments = self.band_problem, result, self.segments + 1
        problem = self.band_problem
        if problem and not before:
            log.warning("%s: %s", self.source.id, problem)
        elif before and not problem and result.bandwidth_hz is not None:
            log.warning("%s: the whole band carries sound again", self.source.id)
        self._note_drift(result)

    def _note_drift(self, result: SegmentResult) -> None:
        before = self.drift is not None
        self.far.add(result, self.pipeline)
        if self.drift and not before:
            log.warning("%s: %s", self.source.id, self.drift)

    @property
    def drift(self) -> str | None:
        """The reason why the music of about a day is unlike the training, for people; None when little of it is."""
        return drift_text(self.far.share, band=self.band_problem, channels=mix_problem(self.mix))

    @property
    def band_known(self) -> bool:
        """True once the band of the present stream is measured."""
        return self.newest is not None and self.newest.bandwidth_hz is not None

    @property
    def band_problem(self) -> str | None:
        """A narrow band, for people; None where the band is wide or not known yet."""
        if self.newest is None or self.newest.bandwidth_hz is None:
            return None
        found, full = self.newest.bandwidth_hz, self.pipeline.manifest.front_end.fmax
        if not is_narrow(found, full):
            return None
        return f"no sound above {found} Hz, the model was trained up to {full} Hz: check sample rate and bit rate"

    @property
    def stream_s(self) -> tuple[float, float]:
        """Seconds of sound received and lost since the stream began."""
        return self.heard_s - self._before_s[0], self.lost_s - self._before_s[1]

    @property
    def hop_factor(self) -> int:
        """1 if every segment is classified, n if only every n-th is."""
        return self.newest.hop_factor if self.newest else 1

    @property
    def tried(self) -> bool:
        """True once sound has arrived, or it is known why there is none."""
        return self.online or self.offline_reason is not None or self.ended or self.disabled

    def is_waiting(self, after_s: float) -> bool:
        """Return whether it was started `after_s` ago or earlier, and nothing has been reported of it since."""
        unreported = not (self.online or self.offline_reason or self.disabled or self.ended)
        return unreported and self.thread is not None and time.monotonic() - self.started_s >= after_s

    def thread_problems(self) -> list[str]:
        """Return what is wrong with the source's threads, for people."""
        parts = (self.thread, self.source.counts.defects)
        return [problem for part in parts if part and (problem := part.problem)]

    def health(self) -> dict[str, Any]:
        """Return the diagnostics of this source."""
        counts = self.source.counts
        return {
            "online": self.online,
            "off": self.disabled,
            "why": self.offline_reason,
            "segments": self.segments,
            "heard_s": round(self.heard_s, 3),
            "lost_s": round(self.lost_s, 3),
            "lost": {cause: round(seconds, 3) for cause, seconds in list(counts.lost_s.items())},
            "restarts": counts.restarts,
            "waiting_s": round(self.source.waiting_s(), 3),
            "hop_factor": self.hop_factor,
            **mix_fields(self.mix),
            "channels_used": [k + 1 for k in self.mix.used] if self.mix else [1],
            "far": rounded(self.far.share, 3),
            "drift": self.drift,
            **(level_fields(self.newest) if self.newest and self.online else {}),
        }


def mix_problem(mix: Mix | None) -> str | None:
    """Return what is wrong with the channels, for people; None when nothing is."""
    if mix is None:
        return None
    if mix.phase == "antiphase":
        return f"the channels cancel each other (antiphase), channel {mix.used[0] + 1} is used: check the plug or cable"
    if mix.dead:
        numbers = ", ".join(str(k + 1) for k in mix.dead)
        return f"channel {numbers} of {mix.channels} is dead, the others are used: check the cable"
    return None

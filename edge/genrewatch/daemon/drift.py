"""The share of a source's music that lies far from what the model was trained on, over about a day.

Each segment of music counts with its length; what is older counts for less, by half after `HALF_LIFE_S` of music.
So the figure is two numbers, and one odd song hardly moves it.
"""

from collections.abc import Mapping
from typing import Any

from genrewatch.contract.vote import NOT_MUSIC
from genrewatch.inference.pipeline import Pipeline, SegmentResult

HALF_LIFE_S = 12 * 3600.0
LEAST_S = 3 * 3600.0
"""Music, seconds, before there is a figure."""
STANDS_OUT = 0.12
"""Share from which the music is unlike the training; see docs/unknown-music.md for shares of known and new music."""


class FarMusic:
    """The running share of one source and one model."""

    def __init__(self, model: str) -> None:
        """`model` is its name and version: another one measures other distances."""
        self.model = model
        self.far_s = self.music_s = 0.0
        self.new_s = 0.0
        """Music since the figure was kept, seconds."""
        self.restored = False
        """True once what was kept of it was looked for."""

    @property
    def share(self) -> float | None:
        """Share of the music that is far, None before there is enough."""
        return self.far_s / self.music_s if self.music_s >= LEAST_S else None

    def add(self, result: SegmentResult, pipeline: Pipeline) -> None:
        """Count a segment, unless it is silent or no music, or the model has no limit."""
        limit, distance = pipeline.manifest.out_of_set, result.ballot.distance
        if limit is None or distance is None or result.ballot.label == NOT_MUSIC:
            return
        seconds = result.hop_factor * pipeline.vote.segment_hop / result.sample_rate
        kept = 0.5 ** (seconds / HALF_LIFE_S)
        self.music_s = kept * self.music_s + seconds
        self.far_s = kept * self.far_s + (seconds if distance > limit.threshold else 0.0)
        self.new_s += seconds

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Add what was kept, if it is of the same model and possible."""
        self.restored = True
        far_s, music_s = kept.get("far_s"), kept.get("music_s")
        if not isinstance(far_s, int | float) or not isinstance(music_s, int | float):
            return
        if kept.get("model") == self.model and 0 <= far_s <= music_s < 10 * HALF_LIFE_S:
            self.far_s += far_s
            self.music_s += music_s

    def as_json(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {"model": self.model, "far_s": round(self.far_s), "music_s": round(self.music_s)}


def model_key(pipeline: Pipeline) -> str:
    """Return name and version of a pipeline's model."""
    return f"{pipeline.manifest.name} {pipeline.manifest.version}"


def drift_text(share: float | None, *, band: str | None, channels: str | None) -> str | None:
    """Return what stands out, with the most likely reason, for people; None when nothing does.

    `band` and `channels` are the problems measured with the band and the channels of the source.
    """
    if share is None or share < STANDS_OUT:
        return None
    reason = channels or band or "new music"
    return f"{share:.0%} of the music is unlike what the model was trained on; most likely {reason}"

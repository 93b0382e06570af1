"""Settings of a source that a command can change while it runs: of the vote, of the filter and of the level gate."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from genrewatch.audio.level import SILENCE_LIMITS
from genrewatch.contract.errors import ConfigError
from genrewatch.contract.vote import LIMITS, VoteFilter
from genrewatch.inference.pipeline import Pipeline

SettingKey = Literal["segments", "silence_dbfs", "filter", "expected_duration_s", "segment_weight"]
SETTING_KEYS: tuple[SettingKey, ...] = get_args(SettingKey)
Value = int | float | str


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number with limits."""

    low: float
    high: float
    step: float
    unit: str | None = None

    @classmethod
    def of(cls, limits: tuple[float, float], *, step: float, unit: str | None = None) -> "Range":
        """Return the range between two limits."""
        return cls(low=limits[0], high=limits[1], step=step, unit=unit)


FILTERS: tuple[VoteFilter, ...] = get_args(VoteFilter)
RANGES = {
    "segments": Range.of(LIMITS["segments"], step=1),
    "silence_dbfs": Range.of(SILENCE_LIMITS, step=0.5, unit="dBFS"),
    "expected_duration_s": Range.of(LIMITS["expected_duration_s"], step=1, unit="s"),
    "segment_weight": Range.of(LIMITS["segment_weight"], step=0.01),
}


def parse_setting(key: str, text: str) -> Value | None:
    """Read the value of a setting; None for text that is none within its limits."""
    if key == "filter":
        return text if text in FILTERS else None
    limits = RANGES.get(key)
    try:
        value = float(text) if len(text) <= 20 else None
    except ValueError:
        value = None
    if limits is None or value is None or not limits.low <= value <= limits.high:
        return None
    if key == "segments":
        return int(value) if value.is_integer() else None
    return value


def settings_of(pipeline: Pipeline) -> dict[str, Value]:
    """Return the value of every setting."""
    level = {"silence_dbfs": pipeline.level.silence_dbfs}
    return {key: level[key] if key in level else getattr(pipeline.vote, key) for key in SETTING_KEYS}


def with_settings(pipeline: Pipeline, settings: Mapping[str, Value]) -> Pipeline:
    """Return a pipeline with other settings; raises ConfigError for values that are impossible together."""
    level: dict[str, Any] = {key: value for key, value in settings.items() if key == "silence_dbfs"}
    vote: dict[str, Any] = {key: value for key, value in settings.items() if key not in level}
    try:
        return replace(pipeline, vote=replace(pipeline.vote, **vote), level=replace(pipeline.level, **level))
    except ConfigError as exc:
        raise ConfigError(f"setting.{exc.where}", exc.found, exc.expected) from None

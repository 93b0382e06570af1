"""The content of a stored record, checked field by field before anything reads it."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from genrewatch.history.database import Damaged
from genrewatch.host.times import rfc3339_to_ms

Record = dict[str, Any]

CORRECTION = "correction"
"""The `kind` of a record that holds a correction and no spell."""

MAX_UTC_MS = 253_370_764_800_000
"""Milliseconds from 1970 to the year 9999, the last that every time zone can show."""
MAX_S = 10_000_000_000.0
"""Limit of durations and of monotonic times, seconds."""
MAX_SPELL_S = 400 * 86_400.0
"""Limit of the length of one spell, seconds: it is cut each hour, but a suspended daemon cuts it late."""


def is_correction(record: Mapping[str, Any]) -> bool:
    """Return whether a record is a correction and no spell."""
    return record.get("kind") == CORRECTION


def checked_record(text: Any) -> Record:
    """Parse a stored record; Damaged if it is not JSON, or if a field that the commands read is missing or wrong."""
    try:
        record = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise Damaged("a record is not JSON") from None
    if not isinstance(record, dict):
        raise Damaged("a record is not a JSON object")
    for key, check in _CHECKS.items():
        if key not in record:
            raise Damaged(f"a record lacks the field {key}")
        if not check(record[key]):
            raise Damaged(f"a record has a wrong {key}")
    if not 0 <= record["mono_end_s"] - record["mono_start_s"] <= MAX_SPELL_S:
        raise Damaged("a record has a wrong mono_end_s")
    return record


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_time(value: Any) -> bool:
    try:
        return 0 <= rfc3339_to_ms(value) < MAX_UTC_MS
    except (ValueError, TypeError, OverflowError):
        return False


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= MAX_S


def _is_duration(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _are_votes(value: Any) -> bool:
    return isinstance(value, dict) and all(type(count) is int and 0 <= count <= MAX_S for count in value.values())


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "source": _is_text,
    "genre": _or_none(_is_text),
    "reason": _is_text,
    "dead_air": _is_flag,
    "start": _is_time,
    "end": _is_time,
    "heard_s": _is_duration,
    "lost_s": _is_duration,
    "share": _or_none(_is_number),
    "confidence": _or_none(_is_number),
    "votes": _are_votes,
    "continues": _is_flag,
    "interrupted": _is_flag,
    "clock_step_s": _is_number,
    "mono_start_s": _is_number,
    "mono_end_s": _is_number,
}
"""Fields that the commands read, and their checks."""

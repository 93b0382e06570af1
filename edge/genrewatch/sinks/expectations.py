"""Expected genres: the stream is up but wrong, when none of them was announced for a while within their hours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from genrewatch.host.local_hours import within_hours
from genrewatch.inference.pipeline import SegmentResult

ExpectationEvent = Literal["unexpected_genre", "expected_genre"]
NO_SIGN = ("silence", "warming_up", "stalled")
"""Reasons that neither meet nor miss an expectation: dead air and a stalled source have events of their own."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """The genres that a source should play."""

    genres: tuple[str, ...]
    """Labels of the model."""
    hours: tuple[str, ...] = ()
    """Ranges of local time, see `genrewatch.host.local_hours`; none for always."""
    after_s: float = 600.0
    """Seconds of sound without any of them that are unexpected."""


@dataclass(kw_only=True)
class _Missing:
    """The present miss of one source."""

    sound_s: float = 0.0
    """Sound since an expected genre, or the beginning of the hours."""
    end_s: float | None = None
    """End of the newest segment, seconds of the stream."""
    reported: bool = False


class ExpectationDetector:
    """Turns results into the events `unexpected_genre` and `expected_genre`; the caller holds a lock."""

    def __init__(
        self, expectations: Mapping[str, Expectation], local_time: Callable[[], datetime] = datetime.now
    ) -> None:
        """Detect nothing yet; `expectations` are those of each source that has any."""
        self._expectations, self._local_time = expectations, local_time
        self._missing: dict[str, _Missing] = {}

    def events(self, source_id: str, result: SegmentResult) -> list[ExpectationEvent]:
        """Return the event of a segment, if there is one; outside the hours everything is expected."""
        expectation = self._expectations.get(source_id)
        if expectation is None:
            return []
        if expectation.hours and not within_hours(expectation.hours, self._local_time()):
            self.reset(source_id)
            return []
        missing = self._missing.setdefault(source_id, _Missing())
        sound_s, missing.end_s = _advance_s(missing.end_s, result), result.end_s
        if result.verdict.genre in expectation.genres:
            reported, missing.sound_s, missing.reported = missing.reported, 0.0, False
            return ["expected_genre"] if reported else []
        if result.verdict.reason not in NO_SIGN:
            missing.sound_s += sound_s
        if missing.sound_s >= expectation.after_s and not missing.reported:
            missing.reported = True
            return ["unexpected_genre"]
        return []

    def set_expectations(self, expectations: Mapping[str, Expectation]) -> None:
        """Expect something else from now on; what is missing of unchanged expectations stays."""
        for source_id in list(self._missing):
            if expectations.get(source_id) != self._expectations.get(source_id):
                self.reset(source_id)
        self._expectations = dict(expectations)

    def reset(self, source_id: str) -> None:
        """Forget the present miss of a source."""
        self._missing.pop(source_id, None)


def _advance_s(before_s: float | None, result: SegmentResult) -> float:
    """Return the new sound of a segment; a gap is none, and another stream begins at 0."""
    length_s = result.end_s - result.start_s
    return length_s if before_s is None or result.end_s <= before_s else min(result.end_s - before_s, length_s)

"""The majority vote with refusal (the paper's eq. 2) over the last T ballots, with hysteresis of the announced genre.

    ballots  rock rock pop rock silence  ->  rock 3 of 5  ->  majority
    ballots  rock rock pop pop  jazz     ->  no label has more than half  ->  refused

`segments` is T, `min_share` the size of the majority, `enter_segments` and `exit_segments` the number of votes in a row
that announce a genre and that withdraw it.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import ConfigError, require

Reason = Literal["majority", "held", "refused", "unknown", "silence", "not_music", "warming_up", "stalled"]
Posterior = NDArray[np.float32]

VoteFilter = Literal["none", "hmm"]
LIMITS: dict[str, tuple[float, float]] = {
    "segments": (1, 1000),
    "min_share": (0.5, 1),  # below 0.5 two genres could win at once
    "enter_segments": (1, 1000),
    "exit_segments": (1, 1000),
    "expected_duration_s": (1, 86_400),
    "segment_weight": (0.01, 1),
    "sharpness": (0.1, 10),
    "plain_sharpness": (0.1, 10),
}
"""Lowest and highest value of each key of `VoteConfig`."""

SILENCE = "silence"
NOT_MUSIC = "not_music"
UNKNOWN = "unknown"
"""The ballot of music that lies far from all that the model was trained on, see `genrewatch.contract.out_of_set`."""
NO_GENRE: dict[str, Reason] = {SILENCE: "silence", NOT_MUSIC: "not_music", UNKNOWN: "unknown"}
"""Ballots that are no genre, and the reason of a verdict when they win."""


@dataclass(frozen=True, kw_only=True)
class VoteConfig:
    """Settings of the vote. The bundle holds the defaults; the `[vote]` table of a configuration overrides them."""

    segments: int = 9
    """T: ballots that count, 1 to 1000."""
    segment_hop: int
    """Samples between the starts of neighbouring segments, a multiple of the front end's hop_length."""
    min_share: float = 0.5
    """Share of T that a winner needs, 0.5 to 1; more than half in any case, so 0.5 is eq. 2."""
    enter_segments: int = 1
    """Votes in a row that a genre must win before it is announced, 1 to 1000."""
    exit_segments: int = 1
    """Votes in a row that an announced genre must fail to win before it is withdrawn, 1 to 1000."""
    filter: VoteFilter = "none"
    """Ballots of each segment by itself (`none`), or of the forward filter `genrewatch.contract.filter` (`hmm`)."""
    expected_duration_s: float = 180.0
    """Mean time that a label lasts, for the filter, seconds, 1 to 86400."""
    segment_weight: float = 0.5
    """Power of a segment's posterior in the filter, 0.01 to 1. Overlapping segments repeat one another, so each counts
    for less than 1."""
    unknown: bool = False
    """True gives no genre to music that is unlike all that the model was trained on, where the bundle has a limit for
    that."""
    sharpness: float = 1.0
    """Power of the ballots' mean posterior in `confidence`, 0.1 to 10, fitted with the network: a verdict over several
    segments is right more often than their mean posterior predicts."""
    plain_sharpness: float | None = None
    """`sharpness` for ballots without a filter, 0.1 to 10; None takes `sharpness` for both. A filter's posteriors are
    surer than they are right, a segment's own less sure."""

    def __post_init__(self) -> None:
        require(self.segment_hop >= 1, "segment_hop", self.segment_hop, "at least 1 sample")
        for key, (low, high) in LIMITS.items():
            value = getattr(self, key)
            require(value is None or low <= value <= high, key, value, f"{low:g} to {high:g}")

    @property
    def sharpness_used(self) -> float:
        """The sharpness for this filter."""
        if self.filter == "none" and self.plain_sharpness is not None:
            return self.plain_sharpness
        return self.sharpness

    def check_geometry(self, *, hop_length: int, segment_samples: int) -> None:
        """Raise ConfigError unless segments start on frames and leave no samples out between them."""
        require(
            self.segment_hop % hop_length == 0,
            "vote.segment_hop",
            self.segment_hop,
            f"a multiple of hop_length {hop_length}",
        )
        require(
            self.segment_hop <= segment_samples,
            "vote.segment_hop",
            self.segment_hop,
            f"at most a segment ({segment_samples} samples), or sound would be skipped",
        )


@dataclass(frozen=True, kw_only=True)
class VoteOverrides:
    """The user's settings of the vote, see `VoteConfig`; each replaces the bundle's default."""

    segments: int | None = None
    """T, ballots that count."""
    segment_hop: int | None = None
    """Samples between segments at the bundle's rate."""
    min_share: float | None = None
    """Share of T that a winner needs, 0.5 to 1."""
    enter_segments: int | None = None
    """Wins in a row before a genre is announced."""
    exit_segments: int | None = None
    """Misses in a row before it is withdrawn."""
    filter: VoteFilter | None = None
    """Ballots of each segment by itself, or of the forward filter."""
    expected_duration_s: float | None = None
    """Mean time that a label lasts, for the filter."""
    segment_weight: float | None = None
    """Power of a segment's posterior in the filter."""
    unknown: bool | None = None
    """True gives no genre to music that is unlike all that the model was trained on; use it with a model that has
    learned some of your own music."""

    def apply(self, defaults: VoteConfig) -> VoteConfig:
        """Return the vote with these settings; ConfigError if it is invalid."""
        try:
            return replace(defaults, **{key: value for key, value in vars(self).items() if value is not None})
        except ConfigError as exc:
            raise ConfigError(f"vote.{exc.where}", exc.found, exc.expected) from None


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """One segment's vote; silence is `SILENCE` without posteriors."""

    label: str
    """The label that is counted: of the filter where there is one, else of the segment."""
    posterior: Posterior | None
    """(n_labels,) the network's, of this segment."""
    filtered: Posterior | None = None
    """(n_labels,) the filter's, of all segments up to this one; None without a filter."""
    distance: float | None = None
    """Mean distance of the latest segments from what the model was trained on; None for silence, and where the bundle
    has no summary. See `genrewatch.contract.out_of_set`."""

    @property
    def basis(self) -> Posterior | None:
        """The posterior behind the label."""
        return self.posterior if self.filtered is None else self.filtered


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Result of the vote after a segment."""

    genre: str | None
    """The announced genre; None when refused, silent, not music or warming up."""
    reason: Reason
    """`majority`; `held`: no majority now, not yet withdrawn; `refused`: no label has the majority, or not yet for
    `enter_segments` votes in a row; `unknown`: music unlike all that the model was trained on; `silence`; `not_music`;
    `warming_up`: fewer than T ballots yet; `stalled`: no sound arrives."""
    share: float
    """Share of the ballots for the announced genre, or else for the leading label, 0 to 1."""
    confidence: float | None
    """Calibrated probability that `genre` is right, see `confidence`; None without a genre."""
    votes: dict[str, int] = field(default_factory=dict)
    """Ballots by label, most first."""
    segments: int = 0
    """Ballots that count: T, or fewer while warming up."""


class MajorityVote:
    """Rolling vote over the last T ballots."""

    def __init__(self, config: VoteConfig, labels: Sequence[str]) -> None:
        self._config, self._labels = config, tuple(labels)
        self._ballots: deque[Ballot] = deque(maxlen=config.segments)
        self._announced: str | None = None
        self._winner: str | None = None
        self._won = self._missed = 0

    def add(self, ballot: Ballot) -> Verdict:
        """Count one ballot and return the verdict after it."""
        self._ballots.append(ballot)
        winner = majority(_count(self._ballots), total=self._config.segments, min_share=self._config.min_share)
        self._won = self._won + 1 if winner == self._winner else 1
        self._winner = winner
        self._missed = 0 if winner == self._announced else self._missed + 1
        if winner is not None and self._won >= self._config.enter_segments:
            self._announced, self._missed = winner, 0
        elif self._missed >= self._config.exit_segments:
            self._announced, self._missed = None, 0
        return self._verdict(self._announced, winner)

    def clear(self) -> None:
        """Discard all ballots, as after a long gap in the sound."""
        self._ballots.clear()
        self._announced = self._winner = None
        self._won = self._missed = 0

    def _verdict(self, announced: str | None, winner: str | None) -> Verdict:
        filled = len(self._ballots) == self._config.segments
        refusal: Reason = "refused" if filled else "warming_up"
        held, sharpness = announced != winner, self._config.sharpness_used
        return _verdict(self._ballots, self._labels, announced, held=held, refusal=refusal, sharpness=sharpness)


def clip_verdict(
    ballots: Sequence[Ballot], labels: Sequence[str], min_share: float = 0.5, sharpness: float = 1.0
) -> Verdict:
    """Return eq. 2 over all ballots of a clip: the label with more than half of the votes, else refused."""
    if not ballots:
        return Verdict(genre=None, reason="warming_up", share=0.0, confidence=None)
    winner = majority(_count(ballots), total=len(ballots), min_share=min_share)
    return _verdict(ballots, labels, winner, held=False, refusal="refused", sharpness=sharpness)


def confidence(posteriors: Sequence[Posterior], label: int, sharpness: float) -> float:
    """Return the probability of a label: the mean of posteriors (n_labels,) ** sharpness, normalised.

    Sharpness 1 returns the mean to the last bit, so verdicts recorded before `sharpness` existed are reproduced.
    """
    mean = np.stack(posteriors).mean(axis=0, dtype=np.float64)
    if sharpness == 1:
        return float(mean[label])
    sharpened = mean**sharpness
    return float(sharpened[label] / sharpened.sum())


def majority(votes: dict[str, int], *, total: int, min_share: float = 0.5) -> str | None:
    """Return the label with more than half of `total` votes and at least `min_share` of them, else None (eq. 2)."""
    for label, count in votes.items():
        if 2 * count > total and count / total >= min_share:  # not min_share * total: 0.55 * 100 > 55
            return label
    return None


def _count(ballots: Sequence[Ballot] | deque[Ballot]) -> dict[str, int]:
    return dict(Counter(ballot.label for ballot in ballots).most_common())


def _verdict(
    ballots: Sequence[Ballot] | deque[Ballot],
    labels: Sequence[str],
    announced: str | None,
    *,
    held: bool,
    refusal: Reason,
    sharpness: float,
) -> Verdict:
    votes = _count(ballots)
    leading = votes[announced] if announced in votes else 0 if announced else max(votes.values())
    genre = None if announced in NO_GENRE else announced
    return Verdict(
        genre=genre,
        reason=_reason(announced, held=held, refusal=refusal),
        share=leading / len(ballots),
        confidence=None if genre is None else _confidence(ballots, labels.index(genre), sharpness),
        votes=votes,
        segments=len(ballots),
    )


def _reason(announced: str | None, *, held: bool, refusal: Reason) -> Reason:
    if announced is None:
        return refusal
    if announced in NO_GENRE:
        return NO_GENRE[announced]
    return "held" if held else "majority"


def _confidence(ballots: Sequence[Ballot] | deque[Ballot], label: int, sharpness: float) -> float | None:
    posteriors = [ballot.basis for ballot in ballots if ballot.basis is not None]
    return confidence(posteriors, label, sharpness) if posteriors else None
